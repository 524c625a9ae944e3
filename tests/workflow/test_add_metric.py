"""docs/add-a-metric.md, followed to the letter."""

import pandas as pd
import pytest
from checkout import TINY, Checkout
from pages import Page

PAGE = Page("add-a-metric.md")
[SCOPE] = PAGE.scopes()

EVALUATE = """
import numpy as np
from svae.contracts.fit import Fit
from svae.contracts.setting import Setting
from svae.contracts.tables import METRICS_COLUMNS, concatenate, with_run
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.evaluation.evaluate import compute_metrics
from svae.evaluation.leaderboard import leaderboard
from svae.evaluation.selection import select
from svae.files import write_table
from svae.methods.anchors import fit_random
from svae.report.methods_table import read_methods
from svae.simulation import simulate
import pandas as pd

size = {"perturbations": 6, "latents": 3, "genes": 15, "hidden": 4, "cells_per_perturbation": 20}
dataset, truth = simulate("lopez2023", **size)
parts = split(dataset.obs["perturbation"], SplitPlan(kind="random", held_out=1), seed=0)
latents = truth.obsm["latents"].copy()
fits = {
    "exact": Fit(dataset.obs_names, latents.copy()),
    "one_lost": Fit(dataset.obs_names, np.column_stack([latents[:, :2], np.zeros(len(latents))])),
    "two_latents": Fit(dataset.obs_names, latents[:, :2]),
    "random": fit_random(dataset, parts, Setting("default", 0, {"n_latent": 3})),
}
statuses = []
for method, fit in fits.items():
    run = {"dataset": "made", "split": "random", "replicate": 0, "method": method}
    write_table(with_run(compute_metrics(fit, parts, truth), **run, setting="default"), f"{method}.tsv")
    statuses.append({**run, "setting": "default", "status": "ok"})
metrics = concatenate([f"{method}.tsv" for method in fits], METRICS_COLUMNS)
selected = select(pd.DataFrame(statuses), metrics)
methods = read_methods("config/methods.tsv", fits)
write_table(metrics, "metrics.tsv")
write_table(leaderboard(metrics, selected, methods, reference="exact"), "leaderboard.tsv")
"""

DESCRIBE = """
from svae.evaluation.metrics import metrics_table
metrics_table().to_csv("described.tsv", sep="\\t")
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Checkout:
    """A copy of the repository to which the page's metric is added, and tables made there."""
    checkout = Checkout.create(tmp_path_factory.mktemp("metric") / "repository")
    PAGE.follow(checkout.path)
    checkout.python(EVALUATE + DESCRIBE)
    return checkout


def table(checkout, name):
    return pd.read_csv(checkout.path / name, sep="\t")


def test_it_is_written_as_the_others_are(extended):
    extended.check_style(PAGE.files)


def test_it_is_described_like_the_others(extended):
    described = table(extended, "described.tsv").set_index("metric")
    assert described.loc["worst_latent", "question"] == "latents"
    assert described.loc["worst_latent", "decimals"] == 3
    # It stands with the other metrics of its question.
    questions = described["question"].drop_duplicates()
    assert questions.tolist() == ["latents", "targets", "likelihood", "prediction"]


def test_it_is_in_the_table_of_metrics(extended):
    metrics = table(extended, "metrics.tsv")
    values = metrics[metrics["metric"] == "worst_latent"].set_index("method")["value"]
    assert values["exact"] == pytest.approx(1)
    assert values["one_lost"] == values["two_latents"] == 0
    assert 0 < values["random"] < 0.5
    # Others are computed as before.
    assert "mcc_pearson" in set(metrics["metric"])


def test_it_is_in_the_leaderboard_and_ranked(extended):
    board = table(extended, "leaderboard.tsv")
    rows = board[(board["metric"] == "worst_latent") & (board["rule"] == "fixed")].set_index("method")
    assert rows["rank"].dropna().to_dict() == {"exact": 1, "one_lost": 2, "two_latents": 2}
    assert rows["n"].eq(1).all()


def test_a_scope_takes_it_by_its_name(extended):
    assert extended.what_is_wrong({**TINY, **SCOPE}) == ""
    said = extended.what_is_wrong({**TINY, "metrics": ["worst_latnet"]})
    assert "unknown metric 'worst_latnet', did you mean 'worst_latent'?" in said
