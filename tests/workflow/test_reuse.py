"""What is run again when something changed, and what is kept."""

import pytest
from checkout import BRIEF, Checkout

from svae.contracts import fit as fits

pytestmark = pytest.mark.workflow

RULE = """\
rule fit_draws:
    input:
        dataset=DATASET,
        split=SPLIT,
        code=code("fit_draws"),
    output:
        update(fits_of("draws")),
    log:
        log_of("draws"),
    resources:
        runtime=60,
    params:
        settings=settings_of("draws"),
        timeout_minutes=timeout_minutes,
        accelerator=accelerator,
        fleet_size=fleet_size,
    script:
        "../../workflow_scripts/fit_draws.py"
"""
SCRIPT = """\
import time

import numpy as np

from svae.contracts.dataset import read_dataset
from svae.contracts.fit import Fit, Run
from svae.workflow.fitting import make_fits
from svae.workflow.logs import start

start(snakemake.log[0])
cells = read_dataset(snakemake.input.dataset).obs_names


def draw(settings):
    for setting in settings:
        if setting.options["seconds"] > 60 * snakemake.params.timeout_minutes:
            time.sleep(setting.options["seconds"])
        print("drawn:", setting.name)
        latents = np.random.default_rng(setting.seed).standard_normal((len(cells), 3), dtype=np.float32)
        yield Fit(cells, latents=latents, run=Run(setting=setting.name, seed=setting.seed))


make_fits(snakemake, cells, draw)
"""
SCOPE = {
    **BRIEF,
    "methods": {"random": None, "draws": {"grid": {"seconds": [0, 60]}, "options": {"b": 1, "a": 2}}},
    "reference": "random",
    "timeout_minutes": 0.1,
}
CHANGES_NO_NUMBER = {
    "timeout_minutes": 0.05,
    "fleet_size": 1,
    "accelerator": "auto",
    "training": dict(reversed(BRIEF["training"].items())),
    "methods": {"draws": {"options": {"a": 2, "b": 1}, "grid": {"seconds": [0, 60]}}, "random": None},
}
STATUS = "results/tiny/status.tsv"
FITS = "results/tiny/fits/simulated/random/rep0"


def planned(copy: Checkout, *targets: str) -> set[str]:
    """Rules that Snakemake would run."""
    said = copy.snakemake("tiny", "--dry-run", *targets)
    return {
        line.split()[-1].rstrip(":") for line in said.splitlines() if line.startswith(("rule ", "localrule "))
    }


def test_fits_are_made_again_only_if_their_numbers_can_change(checkout):
    folder = checkout.path / FITS
    (checkout.path / "rules/methods/draws.smk").write_text(RULE, encoding="utf-8")
    (checkout.path / "workflow_scripts/fit_draws.py").write_text(SCRIPT, encoding="utf-8")
    checkout.write_scope(SCOPE)
    checkout.snakemake("tiny", "--cores", "2", STATUS)
    status = checkout.table("status.tsv").set_index("fit")["status"]
    assert status.to_dict() == {
        f"{FITS}/random/default.h5ad": "ok",
        f"{FITS}/draws/seconds=0.h5ad": "ok",
        f"{FITS}/draws/seconds=60.h5ad": "timeout",
    }
    kept = {path: path.read_bytes() for path in folder.rglob("*.h5ad") if "60" not in path.name}

    # Metrics, limits, devices and the order of keys: no fit depends on any of them.
    checkout.write_scope({**SCOPE, **CHANGES_NO_NUMBER})
    metrics = checkout.path / "svae/evaluation/metrics/latents.py"
    before = metrics.read_text(encoding="utf-8")
    metrics.write_text(f"{before}\n# edited\n", encoding="utf-8")
    assert planned(checkout, STATUS) == {"evaluate", "collect"}
    metrics.write_text(before, encoding="utf-8")

    # What ran out of time is tried again once it may take longer, if asked for or not.
    retry = "from svae.workflow.retry import main; main(['config/tiny.yaml', *sys.argv[1:]])"
    assert checkout.python(f"import sys; {retry}", "--with-more-time") == ""
    checkout.write_scope({**SCOPE, "timeout_minutes": 5})
    said = checkout.python(f"import sys; {retry}", "--with-more-time")
    assert said == f"to be made again: {FITS}/draws/seconds=60.h5ad (timeout)"
    assert {rule for rule in planned(checkout) if rule.startswith("fit_")} == {"fit_draws"}

    # A value is added to the grid, and restarts to a method that had none.
    draws = {"grid": {"seconds": [1, 0, 60]}, "options": {"a": 2, "b": 1}}
    methods = {"random": {"restarts": 2}, "draws": draws}
    checkout.write_scope({**SCOPE, **CHANGES_NO_NUMBER, "methods": methods, "timeout_minutes": 5})
    checkout.snakemake("tiny", "--cores", "2", STATUS)
    status = checkout.table("status.tsv")
    assert set(status["status"]) == {"ok"}
    assert len(status) == 5
    log = (checkout.path / "results/tiny/logs/fits/simulated/random/rep0/draws.log").read_text()
    assert [line for line in log.splitlines() if line.startswith("drawn")] == [
        "drawn: seconds=1",
        "drawn: seconds=60",
    ]
    assert "seconds=0: reused" in log
    for path, content in kept.items():
        assert path.read_bytes() == content
    first, old = (fits.read(folder / "random" / f"default{restart}.h5ad") for restart in (".r0", ""))
    assert (first.latents == old.latents).all()
    assert first.run.setting == "default.r0"
