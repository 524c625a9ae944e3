"""The manifest: where results come from, and what they cost; and the table of what is missing."""

import json
import subprocess
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest
from checkout import TINY

from svae.contracts import fit as fits
from svae.contracts import made
from svae.contracts.dataset import write_dataset
from svae.contracts.made import Making
from svae.files import checksum
from svae.report.completeness import completeness
from svae.report.manifest_page import manifest_html
from svae.simulation import simulate
from svae.workflow.manifest import manifest
from svae.workflow.scope import Scope

SCOPE = Scope.check(TINY)
VIEW = {"rule": "udr", "reference": "vae"}
CPU = Making("node1", "Xeon", "1", "", "", "numpy 2", "2025-01-01T10:00:00Z", "2025-01-01T11:00:00Z", "1800")
GPU = replace(CPU, host="node2", gpu="H100", driver="550", started="2025-01-01T09:00:00Z", cpu_seconds="360")


@pytest.fixture
def found(tmp_path):
    """The manifest of one fit on a processor, two on a GPU, and one of which nothing is written down."""
    paths = []
    for place, making in enumerate((CPU, GPU, GPU, None)):
        path = tmp_path / f"job{place}" / "default.h5ad"
        fits.write(fits.Fit(pd.Index(["a"]), latents=np.ones((1, 1))), path)
        if making:
            made.write_down([path], making)
        paths.append(str(path))
    status = pd.DataFrame(
        {"fit": paths, "status": ["ok", "ok", "failed", "ok"], "seconds": [3600, 720, 720, 0]}
    )
    status["device"] = ["cpu", "cuda", "cuda:0", np.nan]
    data = tmp_path / "data.h5ad"
    write_dataset(
        simulate("corrected", seed=3, perturbations=4, cells_per_perturbation=20, genes=40).dataset, data
    )
    lock = tmp_path / "lock"
    lock.write_text("numpy==0\nno-such-package==1\n", encoding="utf-8")
    return manifest(SCOPE, VIEW, status, [str(data)], lock, tmp_path)


def test_hours_are_summed_by_machine(found):
    assert found["cost"] == {"cpu_hours": 0.7, "gpu_hours": 0.4, "hours": 1.4}
    rows = {
        row["host"]: (row["device"], row["gpu"], row["fits"], row["cpu_hours"]) for row in found["machines"]
    }
    assert rows["node1"] == ("cpu", "", 1, 0.5)
    assert rows[""] == ("", "", 1, 0.0)
    assert sum(row["fits"] for row in found["machines"] if row["host"] == "node2") == 2
    assert (found["started"], found["ended"]) == (GPU.started, GPU.ended)
    assert found["fits"] == {"ok": 3, "failed": 1}


def test_what_was_run_is_told_with_all_defaults(found):
    assert found["scope"]["scope"] == "tiny"
    assert found["scope"]["selection"]["rule"] == SCOPE.selection.rule
    assert Scope.check({**TINY, "seed": 1}).model_dump(mode="json", by_alias=True) == found["scope"]
    assert found["packages"] == {"numpy": version("numpy")}, "as installed, not as pinned"
    assert found["seeds"]["simulated"] == {"simulated": [SCOPE.data_seed("simulated", n) for n in range(2)]}
    [data] = found["datasets"]
    assert data["sha256"] == checksum(data["file"])
    assert data["source"] == "svae.simulation, corrected, seed 3"


def test_the_state_of_the_code_is_told(found, tmp_path, monkeypatch):
    assert found["code"]["commit"] is None
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    name = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "lock"], [*name, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True)
    status = pd.DataFrame({"fit": [], "status": [], "seconds": [], "device": []}).astype({"device": str})

    def code():
        return manifest(SCOPE, VIEW, status, [], tmp_path / "lock", tmp_path)["code"]

    assert len(code()["commit"]) == 40
    assert code()["changed"] == []
    (tmp_path / "lock").write_text("", encoding="utf-8")
    assert code()["changed"] == ["M lock"]
    below = tmp_path / "copy"
    below.mkdir()
    assert manifest(SCOPE, VIEW, status, [], tmp_path / "lock", below)["code"]["commit"] is None


def test_the_page_has_what_the_file_has(found):
    page = manifest_html(json.loads(json.dumps(found)))
    for text in (
        "no git checkout",
        "node2",
        "H100",
        found["datasets"][0]["sha256"],
        "numpy",
        "0.4",
        GPU.started,
    ):
        assert text in page
    with_commit = manifest_html(found | {"code": {"version": "1", "commit": "abc", "changed": ["M <x>"]}})
    assert "abc, with 1 file changed: M &lt;x&gt;" in with_commit


def test_what_is_lost_comes_first_with_its_reason(tmp_path):
    """The split is one of folds, whose files have names of their own."""
    log = tmp_path / "logs" / "d" / "s-2" / "rep0" / "vae.log"
    log.parent.mkdir(parents=True)
    log.touch()
    rows = [
        ("d", "s", 0, "pca", "ok", np.nan),
        ("d", "s", 0, "vae", "ok", np.nan),
        ("d", "s", 1, "vae", "timeout", "ended after 5 minutes"),
        ("d", "s", 2, "vae", "timeout", "ended after 5 minutes"),
        ("e", "s", 0, "vae", "failed", "killed"),
    ]
    status = pd.DataFrame(rows, columns=["dataset", "split", "replicate", "method", "status", "message"])
    status["fit"] = [
        f"results/fits/{row.dataset}/s-{row.replicate + 1}/rep0/{row.method}/default.h5ad"
        for row in status.itertuples()
    ]
    table = completeness(status, "results/fits", str(tmp_path / "logs"))
    shown = table[["dataset", "method", "status", "fits", "planned", "replicates"]].to_numpy().tolist()
    assert shown == [
        ["d", "vae", "timeout", 2, 3, "1, 2"],
        ["e", "vae", "failed", 1, 1, "0"],
        ["d", "pca", "ok", 1, 1, "0"],
        ["d", "vae", "ok", 1, 3, "0"],
    ]
    assert table["log"].tolist() == [str(log), "", "", ""]
