"""The workflow from end to end, on a scope that is as small as can be."""

import json
import re
import shutil
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import yaml
from checkout import ROOT, RUN, TINY, Checkout

from svae.contracts import fit as fits
from svae.contracts.dataset import read_dataset
from svae.methods.options import CONTROLS
from svae.report.bundle import redraw
from svae.report.tables import COLUMNS
from svae.workflow.figures import figures_of
from svae.workflow.scope import Scope

pytestmark = pytest.mark.workflow

SCOPE = Scope.check(TINY)
LARGE_OF_REAL_DATA = ("held_out", "perturbations", "latent_genes", "enrichment", "predictive", "embedding")
OF_REAL_DATA = (*LARGE_OF_REAL_DATA, "pathways")
"""Tables that are empty if all datasets are simulated."""
GZIPPED = ("metrics", "history", "targets", *LARGE_OF_REAL_DATA)
ANCHORS = {"oracle", "random", "technical_duplicate", "interpolated_duplicate"}
NOT_APPLICABLE = {"additive"}
"""Methods that find nothing to work on here: there are no combinations."""
FIGURES = figures_of(SCOPE, ROOT / "reports" / "captions")


@pytest.fixture(scope="module")
def predicting_only(tiny_run) -> set[str]:
    """Methods that predict profiles and have no latents."""
    found = set()
    for method in RUN:
        setting = SCOPE.settings(method)[0].name
        path = tiny_run.path / f"results/tiny/fits/simulated/random/rep0/{method}/{setting}.h5ad"
        if fits.read(path).latents is None:
            found.add(method)
    assert found & set(CONTROLS)
    return found


def test_all_fits_end_well(tiny_run):
    status = tiny_run.table("status.tsv")
    settings = sum(len(SCOPE.settings(method)) for method in SCOPE.methods)
    assert len(status) == settings * SCOPE.replicates
    ended = status.groupby("method")["status"].unique().map(list).to_dict()
    expected = {method: ["not_applicable" if method in NOT_APPLICABLE else "ok"] for method in RUN}
    assert ended == expected, status[["method", "message"]]
    assert "ended well" in (tiny_run.path / "results/tiny/complete.txt").read_text()


def test_waiting_jobs_are_looked_at_only_when_a_job_has_ended(tiny_run):
    log = min((tiny_run.path / ".snakemake" / "log").glob("*.log")).read_text(encoding="utf-8")
    ended = log.count("Finished jobid")
    assert ended > 50
    assert log.count("Ready jobs") <= ended + 1


@pytest.mark.parametrize("method", RUN)
def test_method_keeps_the_contract(tiny_run, method):
    results = tiny_run.path / "results" / "tiny"
    for replicate in range(SCOPE.replicates):
        job = f"simulated/random/rep{replicate}/{method}"
        cells = read_dataset(results / f"data/simulated/rep{replicate}.h5ad").obs_names
        for setting in SCOPE.settings(method):
            fit = fits.read(results / f"fits/{job}/{setting.name}.h5ad", cells)
            if method in NOT_APPLICABLE:
                assert (fit.run.status, fit.run.message != "") == ("not_applicable", True)
                continue
            assert fit.run.status == "ok"
            if fit.latents is None:
                assert fit.predictions
                continue
            assert fit.latents.shape[1] == SCOPE.latents
            assert fit.latents.std(axis=0).min() > 0
        assert (results / f"logs/fits/{job}.log").is_file()
        assert (results / f"benchmarks/{job}.jsonl").stat().st_size > 0


@pytest.mark.parametrize("name", COLUMNS)
def test_table_has_its_columns(tiny_run, name):
    table = tiny_run.table(f"{name}.tsv.gz" if name in GZIPPED else f"{name}.tsv")
    assert set(COLUMNS[name]) <= set(table)
    if name != "warnings":  # there may be nothing to warn of
        assert table.empty == (name in OF_REAL_DATA)


@pytest.mark.parametrize("name", ["metrics.tsv.gz", "selected.tsv", "status.tsv", "leaderboard.tsv"])
def test_every_method_is_in_the_table(tiny_run, name):
    assert set(tiny_run.table(name)["method"]) == set(RUN)


def test_every_method_has_values(tiny_run, predicting_only):
    metrics = tiny_run.table("metrics.tsv.gz")
    assert set(metrics.dropna()["method"]) == set(RUN) - NOT_APPLICABLE
    values = metrics[metrics["metric"] == "mcc_pearson"].set_index("method")["value"]
    assert set(values.index[values.isna()]) == predicting_only
    assert values.dropna().between(0, 1).all()


@pytest.mark.parametrize("figure", FIGURES)
def test_figure_is_there_with_its_numbers(tiny_run, figure):
    stem = tiny_run.path / "results" / "tiny" / "figures" / figure
    heads = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}
    for suffix, head in heads.items():
        assert stem.with_suffix(f".{suffix}").read_bytes().startswith(head)
    assert len(tiny_run.table(f"figures/{figure}.tsv")) > 0


@pytest.mark.parametrize("figure", ["latent_recovery", "cost"])
def test_every_method_is_in_the_figure(tiny_run, predicting_only, figure):
    without = predicting_only if figure == "latent_recovery" else set()
    assert set(RUN) - ANCHORS - NOT_APPLICABLE - without <= set(
        tiny_run.table(f"figures/{figure}.tsv")["method"]
    )


def test_only_the_oracle_sees_the_truth(tiny_run):
    lines = tiny_run.snakemake("tiny", "--detailed-summary").splitlines()
    header = next(place for place, line in enumerate(lines) if line.startswith("output_file\t"))
    jobs = pd.DataFrame([line.split("\t") for line in lines[header + 1 :]], columns=lines[header].split("\t"))
    told = {
        method: jobs.loc[jobs["output_file"].str.contains(f"/fits/.*/{method}/[^/]*$"), "input-file(s)"].str
        for method in RUN
    }
    assert all(inputs.contains("/data/").any() for inputs in told.values())
    assert {method for method, inputs in told.items() if inputs.contains("results/tiny/truth/").any()} == {
        "oracle"
    }


def test_every_figure_is_drawn_anew_from_the_bundle(tiny_run, tmp_path):
    """Without the results, in a folder where nothing else is; the drawings are the same to the byte."""
    (tiny_run.path / "reports" / "tiny.html").touch()
    tiny_run.snakemake("tiny", "--cores", "1", "reports/tiny.zip")
    bundle = shutil.move(tiny_run.path / "reports" / "tiny.zip", tmp_path / "bundle.zip")
    assert set(redraw(bundle, tmp_path / "figures")) == set(FIGURES)
    for figure in FIGURES:
        for suffix in ("svg", "png", "tsv"):
            name = f"{figure}.{suffix}"
            drawn = (tiny_run.path / "results/tiny/figures" / name).read_bytes()
            assert (tmp_path / "figures" / name).read_bytes() == drawn, name
    with zipfile.ZipFile(bundle) as content:
        assert Scope.check(yaml.safe_load(content.read("config.yaml"))) == SCOPE
        packed = {"report.html", "requirements.lock", "completeness.tsv", "leaderboard.html"}
        assert packed <= set(content.namelist())


def test_the_manifest_knows_every_fit_and_dataset(tiny_run):
    manifest = json.loads((tiny_run.path / "results/tiny/manifest.json").read_text(encoding="utf-8"))
    status = tiny_run.table("status.tsv")
    assert sum(machine["fits"] for machine in manifest["machines"]) == len(status)
    assert all(machine["host"] and machine["versions"] for machine in manifest["machines"])
    assert {machine["threads"] for machine in manifest["machines"]} == {"1"}
    assert [data["file"] for data in manifest["datasets"]] == [
        f"results/tiny/data/simulated/rep{replicate}.h5ad" for replicate in range(SCOPE.replicates)
    ]
    assert 0 < manifest["cost"]["cpu_hours"] < 1
    assert manifest["view"] == {"rule": SCOPE.selection.rule, "reference": SCOPE.reference}


def test_nothing_is_left_to_do(tiny_run):
    assert "Nothing to be done" in tiny_run.snakemake("tiny", "--dry-run")


def test_same_seed_gives_the_same_bytes(tiny_run, tmp_path):
    again = Checkout.create(tmp_path / "repository")
    again.write_scope({**TINY, "replicates": 1})
    results = Path("results/tiny/metrics/simulated/random/rep0")
    of_each_kind = ("svae_plus", "gsfa", "pca", "mean_response", "random")
    names = [results / f"{method}.tsv" for method in of_each_kind]
    again.snakemake("tiny", "--cores", "2", *map(str, names))
    assert all((again.path / name).read_bytes() == (tiny_run.path / name).read_bytes() for name in names)


class Loaded(HTMLParser):
    """Collects the addresses that a page loads when it is opened."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attributes):
        if tag in ("script", "link", "img", "iframe", "source"):
            self.addresses += [value for name, value in attributes if name in ("src", "href") and value]


def test_report_is_one_file_that_loads_nothing(tiny_run):
    style = ("--report-stylesheet", "reports/report.css")
    tiny_run.snakemake("tiny", "--report", "reports/tiny.html", *style)
    text = (tiny_run.path / "reports" / "tiny.html").read_text(encoding="utf-8")
    page = Loaded()
    page.feed(text)
    assert [address for address in page.addresses if not address.startswith("data:")] == []
    assert not re.search(r"url\([\"']?https?:", text)
    assert "How to read the rest" in text  # the end of the first page
    assert "System Message" not in text  # which docutils writes where it understands no reStructuredText
    for figure in FIGURES:
        assert f"{figure}.svg" in text
