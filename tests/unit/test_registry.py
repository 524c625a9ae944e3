import subprocess
import sys

import numpy as np
import pytest

from svae.errors import BenchmarkError
from svae.evaluation.comparison import COMPUTE
from svae.evaluation.metrics.registry import METRICS_TABLE, choose_metrics, needs_met, read_metrics


def altered(tmp_path, old, new):
    text = METRICS_TABLE.read_text()
    assert old in text
    path = tmp_path / "metrics.tsv"
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_table_and_the_code_name_the_same_metrics():
    table = read_metrics()
    assert set(table.index) == set(COMPUTE)
    assert set(table["direction"]) == {"higher", "lower"}
    assert table.loc["mcc_pearson", ["low", "high"]].tolist() == [0, 1]
    assert np.isnan(table.loc["inll_same_cells", "low"])
    assert table.index[table["original"]].str.endswith("_original").all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mcc_pearson", "mcc_person", "unknown metric 'mcc_person', did you mean 'mcc_pearson'"),
        ("higher", "hihger", "mcc_pearson: unknown direction 'hihger', did you mean 'higher'"),
        ("truth,latents", "truth,latent", "mcc_pearson: unknown need 'latent', did you mean 'latents'"),
        ("mcc_spearman", "mcc_pearson", "metric 'mcc_pearson' occurs more than once"),
        ("needs", "need", "column 'needs' is missing"),
        ("\t0\t1\t", "\tnought\t1\t", "mcc_pearson: 'nought' in column 'low' is not a number"),
    ],
)
def test_a_slip_in_the_table_is_named(tmp_path, old, new, message):
    path = altered(tmp_path, old, new)
    with pytest.raises(BenchmarkError, match=message) as caught:
        read_metrics(path)
    assert str(caught.value).startswith(str(path))


def test_choosing_metrics():
    table = read_metrics()
    assert choose_metrics(table, ["r2", "mcc_pearson"], "demo.yaml").index.tolist() == ["r2", "mcc_pearson"]
    with pytest.raises(BenchmarkError, match=r"demo\.yaml: metrics: unknown metric 'r3', did you mean 'r2'"):
        choose_metrics(table, ["r3"], "demo.yaml: metrics")


def test_needs():
    assert needs_met("", set())
    assert needs_met("truth,targets|shifts", {"truth", "shifts"})
    assert not needs_met("truth,targets|shifts", {"truth", "latents"})
    assert not needs_met("truth,targets|shifts", {"targets", "shifts"})


def test_evaluation_loads_no_deep_learning():
    program = (
        "import sys, svae.evaluation.metrics, svae.evaluation.selection;"
        "import svae.evaluation.statistics, svae.evaluation.leaderboard;"
        "sys.exit(', '.join({'torch', 'scvi', 'scanpy', 'lightning'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
