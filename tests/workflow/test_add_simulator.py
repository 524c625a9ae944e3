"""docs/add-a-simulator.md, followed to the letter."""

import pandas as pd
import pytest
from checkout import Checkout
from pages import Page

PAGE = Page("add-a-simulator.md")
[SCOPE] = PAGE.scopes()

FIT = """
from svae.contracts import fit as fits
from svae.contracts.dataset import read_dataset, write_dataset
from svae.contracts.setting import Setting
from svae.contracts.truth import read_truth, write_truth
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.evaluation.evaluate import compute_metrics
from svae.files import write_table
from svae.methods.anchors import fit_oracle
from svae.methods.linear import fit_linear
from svae.simulation import simulate
from svae.simulation.likelihood import score_cells

drawn = simulate("linear", seed=3, cells_per_perturbation=40)
write_dataset(drawn.dataset, "dataset.h5ad")
write_truth(drawn.truth, "truth.h5ad")
dataset = read_dataset("dataset.h5ad")
truth = read_truth("truth.h5ad", dataset.obs_names)
assert score_cells(dataset, truth) is None

parts = split(dataset.obs["perturbation"], SplitPlan(kind="random", held_out=0.2), seed=0)
setting = Setting("default", options={"n_latent": 5})
for method, fit in {
    "oracle": fit_oracle(dataset, parts, truth, setting, likelihood_samples=10),
    "ica": fit_linear("ica", dataset, parts, setting),
}.items():
    fits.write(fit, f"{method}.h5ad")
    fit = fits.read(f"{method}.h5ad", dataset.obs_names)
    write_table(compute_metrics(fit, parts, truth), f"{method}.tsv")
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Checkout:
    """A copy of the repository to which the page's simulator is added."""
    checkout = Checkout.create(tmp_path_factory.mktemp("simulator") / "repository")
    PAGE.follow(checkout.path)
    return checkout


def check(checkout, **changed):
    """What is wrong with the page's scope after some keys of its dataset were changed."""
    dataset = SCOPE["datasets"]["linear_screen"]
    return checkout.what_is_wrong({**SCOPE, "datasets": {"mine": {**dataset, **changed}}})


@pytest.fixture(scope="module")
def metrics(extended):
    """Metrics of the fits to the simulator's cells."""
    extended.python(FIT)
    tables = {}
    for method in ("oracle", "ica"):
        table = pd.read_csv(extended.path / f"{method}.tsv", sep="\t")
        tables[method] = table.set_index("metric")["value"]
    return pd.DataFrame(tables)


def test_one_file_is_touched():
    assert PAGE.files == ["svae/simulation/simulators/linear.py"]


def test_it_is_written_as_the_others_are(extended):
    extended.check_style(PAGE.files)


def test_a_scope_takes_it_by_its_name(extended):
    assert check(extended) == ""


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"simulator": "linaer"}, "unknown simulator 'linaer', did you mean 'linear'?"),
        ({"parameters": {"loadings": 1}}, "unknown parameter 'loadings', did you mean 'loading'?"),
        ({"parameters": {"genes": 0}}, "genes is 0, but must be at least 1"),
        ({"parameters": {"shift": "far"}}, "shift is 'far', but must be a number"),
    ],
)
def test_wrong_names_and_values_are_refused(extended, changed, message):
    said = check(extended, **changed)
    assert message in said
    assert len(said.splitlines()) == 1


def test_the_oracle_knows_all_but_the_likelihood(metrics):
    assert metrics.loc["mcc_pearson", "oracle"] > 0.99
    assert metrics.loc["target_f1", "oracle"] == 1
    likelihoods = [metric for metric in metrics.index if metric.startswith("inll")]
    assert len(likelihoods) >= 3
    assert metrics.loc[likelihoods, "oracle"].isna().all()


def test_a_linear_method_finds_the_space_of_the_latents_but_not_the_axes(metrics):
    assert metrics.loc["r2", "ica"] > 0.9
    assert metrics.loc["mcc_pearson", "ica"] < 0.9


@pytest.mark.workflow
def test_its_code_is_an_input_of_its_own_draws_alone(extended):
    extended.write_scope(SCOPE)
    extended.write_scope({**SCOPE, "scope": "other", "datasets": {"screen": {"simulator": "corrected"}}})
    file = "svae/simulation/simulators/linear.py"
    assert file in extended.snakemake("linear", "--dry-run")
    assert file not in extended.snakemake("other", "--dry-run")
