import subprocess
import sys
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from svae.errors import BenchmarkError
from svae.evaluation.metric import REGISTERED, Question, metric
from svae.evaluation.metrics import METRICS, choose_metrics, metrics_table, within_range

DESCRIPTION = {"label": "Mine", "question": "latents", "direction": "higher", "needs": ("latents",)}


def test_the_table_describes_every_metric():
    table = metrics_table()
    assert table.index.tolist() == list(METRICS)
    assert table.index.name == "metric"
    assert set(table["direction"]) == {"higher", "lower"}
    assert table["question"].drop_duplicates().tolist() == list(get_args(Question))
    assert table.loc["mcc_pearson", ["low", "high"]].tolist() == [0, 1]
    assert np.isnan(table.loc["inll_same_cells", "low"])
    assert table.loc["target_f1", "needs"] == "truth,latents,targets|shifts"
    assert table.index[table["original"]].tolist() == [
        "target_precision_original",
        "target_recall_original",
        "target_f1_original",
        "inll_same_cells_original",
    ]
    headlines = ["mcc_pearson", "sibling_auroc", "non_targeting_with_target", "target_f1"]
    headlines += ["inll_zero_shot", "inll_clean"]
    headlines += [f"pearson_delta_{basis}_calibrated" for basis in ("zero_shot", "adapted", "combination")]
    assert table.index[table["headline"]].tolist() == headlines
    assert table.loc[headlines, "decimals"].tolist() == [3, 3, 3, 3, 1, 1, 3, 3, 3]
    assert table.loc[headlines, "margin"].gt(0).all(), "leaders are compared by them"


@pytest.mark.parametrize(
    ("slip", "message"),
    [
        ({"question": "latent"}, "metric 'mine': unknown question 'latent', did you mean 'latents'"),
        ({"direction": "hihger"}, "metric 'mine': unknown direction 'hihger', did you mean 'higher'"),
        ({"needs": ("truth", "latent")}, "metric 'mine': unknown need 'latent', did you mean 'latents'"),
        ({"needs": ("targets|shift",)}, "metric 'mine': unknown need 'shift', did you mean 'shifts'"),
        ({"margin": 0}, "metric 'mine': margin is 0, not a number above 0"),
    ],
)
def test_a_slip_in_a_description_is_named(slip, message):
    def mine(comparison):
        return 0.0

    with pytest.raises(BenchmarkError, match=message):
        metric(**DESCRIPTION | slip)(mine)
    assert "mine" not in REGISTERED


def test_two_metrics_cannot_have_one_name():
    def r2(comparison):
        return 0.0

    with pytest.raises(BenchmarkError, match=r"metric 'r2': the name is taken, in .*latents"):
        metric(**DESCRIPTION)(r2)


def test_choosing_metrics():
    assert choose_metrics(["r2", "mcc_pearson"], "demo.yaml") == [METRICS["r2"], METRICS["mcc_pearson"]]
    with pytest.raises(BenchmarkError, match=r"demo\.yaml: metrics: unknown metric 'r3', did you mean 'r2'"):
        choose_metrics(["r3"], "demo.yaml: metrics")


def test_intervals_are_cut_to_the_range_of_their_metric():
    names = ["mcc_pearson", "mcc_pearson", "effective_samples", "inll_clean"]
    table = pd.DataFrame({"metric": names, "low": [-0.2, np.nan, 0.5, -9], "high": [1.4, np.nan, 900, 9]})
    cut = within_range(table)
    np.testing.assert_array_equal(cut["low"], [0, np.nan, 1, -9])
    np.testing.assert_array_equal(cut["high"], [1, np.nan, 900, 9])


def test_needs():
    assert METRICS["target_f1"].is_applicable({"truth", "latents", "shifts"})
    assert not METRICS["target_f1"].is_applicable({"truth", "latents"})
    assert not METRICS["target_f1"].is_applicable({"latents", "targets", "shifts"})
    assert not METRICS["inll_clean"].is_applicable(set())


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        # What Snakemake imports at each start, to check a scope.
        ("metrics selection", "torch scvi scanpy lightning anndata scipy sklearn statsmodels"),
        ("evaluate leaderboard statistics restarts", "torch scvi scanpy lightning sklearn statsmodels"),
    ],
)
def test_what_an_import_loads(modules, forbidden):
    imports = ", ".join(f"svae.evaluation.{module}" for module in modules.split())
    program = f"import sys, {imports}; sys.exit(', '.join(set({forbidden.split()}) & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
