import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from checkout import ROOT
from scipy import sparse

from svae.contracts.dataset import write_dataset
from svae.files import read_table, write_table
from svae.simulation import parameters, simulate
from svae.workflow.describe import describe_datasets, describe_pathways
from svae.workflow.scope import Scope


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """What a run of config/simulation.yaml says of its datasets, drawn with fewer cells to save time."""
    folder = tmp_path_factory.mktemp("described")
    scope = Scope.read(ROOT / "config" / "simulation.yaml")
    paths = []
    for name, entry in scope.simulated.items():
        dataset = simulate(entry.simulator, **(entry.parameters | {"cells_per_perturbation": 2})).dataset
        paths.append(folder / f"{name}.h5ad")
        write_dataset(dataset, paths[-1])
    write_table(describe_datasets(scope, paths), folder / "datasets.tsv")
    return read_table(folder / "datasets.tsv")


def test_every_fact_of_a_dataset_is_named_once(described):
    assert not described.duplicated(["dataset", "parameter"]).any()


def test_parameters_at_their_defaults_are_told_too(described):
    wide = described.pivot(index="dataset", columns="parameter", values="value")
    assert wide["cells_per_perturbation"].astype(float).to_dict() == {"cells250": 250}
    assert set(parameters("lopez2023")) <= set(wide.columns)
    np.testing.assert_array_equal(wide["shift_mean"].astype(float), 5.0)


def test_the_seeds_of_the_draws_are_told(described):
    wide = described.pivot(index="dataset", columns="parameter", values="value")
    scope = Scope.read(ROOT / "config" / "simulation.yaml")
    told = [int(seed) for seed in wide.loc["cells250", "seeds"].split(", ")]
    assert told == scope.simulated["cells250"].seeds[: scope.replicates]


def test_counts_are_not_read_since_they_may_not_fit_into_memory(tmp_path):
    scope = Scope.read(ROOT / "config" / "simulation.yaml")
    [(name, entry)] = scope.simulated.items()
    dataset = simulate(entry.simulator, **(entry.parameters | {"cells_per_perturbation": 2})).dataset
    path = tmp_path / f"{name}.h5ad"
    write_dataset(dataset, path)
    with h5py.File(path, "a") as file:
        del file["X"]
    facts = describe_datasets(scope, [path]).set_index("parameter")["value"]
    assert (facts["cells"], facts["genes"]) == dataset.shape


def test_sizes_are_those_of_the_files(described):
    wide = described.pivot(index="dataset", columns="parameter", values="value")
    assert set(wide["kind"]) == {"simulated"}
    assert set(wide["cells"].astype(int)) == {200}
    assert set(wide["perturbations"].astype(int)) == {100}


def test_pathways_are_those_of_the_genes_that_perturbations_or_their_guides_are_called_after(tmp_path):
    labels = {"screen": ["A", "B", "C", "control"], "guides": ["A_1", "A_2", "C_1", "control"]}
    targets = {"screen": None, "guides": ["A", "A", "C", "control"]}
    paths = []
    for name, perturbations in labels.items():
        cells = pd.DataFrame({"perturbation": pd.Categorical(perturbations)}, list("wxyz"))
        if targets[name]:
            cells["target"] = pd.Categorical(targets[name])
        paths.append(tmp_path / f"{name}.h5ad")
        write_dataset(ad.AnnData(sparse.csr_matrix(np.ones((4, 3), np.float32)), cells), paths[-1])
    (tmp_path / "sets.gmt").write_text("one\t-\tA\tC\ntwo\t-\tC\tE\n", encoding="utf-8")
    entry = {"path": "x.h5ad", "label": "guide", "control": "control", "splits": ["few"]}
    entry["gene_sets"] = str(tmp_path / "sets.gmt")
    scope = Scope.read(ROOT / "config" / "papalexi.yaml")
    scope = scope.model_copy(
        update={"datasets": {name: scope.real["papalexi"].model_copy(update=entry) for name in labels}}
    )
    found = describe_pathways(scope, paths)
    assert sorted(found.itertuples(index=False, name=None)) == [
        ("guides", "A_1", "one"),
        ("guides", "A_2", "one"),
        ("guides", "C_1", "one"),
        ("guides", "C_1", "two"),
        ("screen", "A", "one"),
        ("screen", "C", "one"),
        ("screen", "C", "two"),
    ]
