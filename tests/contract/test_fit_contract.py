"""The fit file: what is written is read again, and every breach is told in one sentence."""

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from svae.contracts import fit as fits
from svae.contracts.fit import Fit, Run
from svae.contracts.generated import MOST_CELLS, GeneratedCells
from svae.contracts.run import STATUSES
from svae.errors import BenchmarkError

CELLS = pd.Index(["a", "b", "c", "d"])
TARGETS = pd.DataFrame([[1.0, 0.0], [0.5, 0.25]], index=["control", "p1"], columns=["z1", "z2"])

GENES = pd.Index(["g1", "g2", "g3"])
PROFILES = pd.DataFrame([[0.0, 7.5, 8.5], [1.5, 8.0, 8.0]], ["p2", "p3"], GENES)
COUNTS = np.array([[0, 3, 1], [2, 0, 0], [0, 0, 0]])
"""A method may draw a cell without counts."""
DRAWN = ["p3", "p2", "p3"]
PROBABILITY = pd.DataFrame([[0.0, 1.0, 0.5]], ["p1"], GENES)
CHANGES = {"probability": PROBABILITY, "log2_fold_change": PROBABILITY - 2.5}
OF_LATENTS = {name: pd.concat([table, table / 2]).set_axis(["z1", "z2"]) for name, table in CHANGES.items()}


def good_fit() -> Fit:
    return Fit(
        cells=CELLS,
        latents=np.arange(8, dtype=np.float32).reshape(4, 2),
        latent_modes=np.arange(8, dtype=np.float32).reshape(4, 2) + 1,
        scores=pd.DataFrame({"log_likelihood_zero_shot": [np.nan, np.nan, -1.0, -2.0]}, index=CELLS),
        targets=TARGETS,
        shifts=-3 * TARGETS,
        history=pd.DataFrame({"epoch": [1, 2], "train": [3.0, 2.0], "validation": [3.5, 2.5]}),
        selection={"validation_likelihood": -1.5},
        run=Run(
            setting="penalty=10",
            seed=7,
            seconds=1.5,
            peak_memory_mb=80.0,
            message="as ever",
            timeout_minutes=60.0,
        ),
        predictions={"zero_shot": PROFILES, "adapted": PROFILES + 0.5},
        generated={"adapted": GeneratedCells(sparse.csr_matrix(COUNTS), np.array(DRAWN))},
        differential=CHANGES,
        latent_genes=OF_LATENTS,
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.h5ad"


@pytest.fixture
def written(path):
    """A good file, to be spoilt."""
    fits.write(good_fit(), path)
    return path


def complaint(path) -> str:
    """What reading the file complains of: one sentence that begins with its name."""
    with pytest.raises(BenchmarkError) as error:
        fits.read(path, CELLS)
    said = str(error.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    return said


def test_read_gives_what_was_written(written):
    fit, good = fits.read(written, CELLS), good_fit()
    assert fit.cells.equals(good.cells)
    assert fit.latents.dtype == np.float32
    np.testing.assert_array_equal(fit.latents, good.latents)
    np.testing.assert_array_equal(fit.latent_modes, good.latent_modes)
    for name in ("scores", "targets", "shifts", "history"):
        pd.testing.assert_frame_equal(getattr(fit, name), getattr(good, name), check_names=False)
    assert set(fit.predictions) == {"zero_shot", "adapted"}
    for basis in fit.predictions:
        pd.testing.assert_frame_equal(fit.predictions[basis], good.predictions[basis], check_names=False)
    [(basis, cells)] = fit.generated.items()
    assert basis == "adapted"
    np.testing.assert_array_equal(cells.counts.toarray(), COUNTS)
    assert cells.perturbation.tolist() == DRAWN
    for part, tables in (("differential", CHANGES), ("latent_genes", OF_LATENTS)):
        assert set(getattr(fit, part)) == set(tables)
        for name, table in tables.items():
            pd.testing.assert_frame_equal(getattr(fit, part)[name], table, check_names=False)
    assert fit.selection == good.selection
    assert fit.run == good.run


def test_latents_alone_are_enough(path):
    fits.write(Fit(cells=CELLS, latents=np.ones((4, 3))), path)
    fit = fits.read(path, CELLS)
    assert fit.scores is fit.targets is fit.shifts is fit.history is fit.latent_modes is None


def test_predictions_alone_are_enough(path):
    fits.write(Fit(cells=CELLS, predictions={"combination": PROFILES}), path)
    fit = fits.read(path, CELLS, GENES)
    assert fit.latents is fit.scores is fit.targets is fit.shifts is fit.latent_modes is None
    pd.testing.assert_frame_equal(fit.predictions["combination"], PROFILES, check_names=False)


WRONG_PREDICTIONS = {
    "not a group of named values": PROFILES,
    "unknown basis 'adaptive', did you mean 'adapted'?": {"adaptive": PROFILES},
    '["adapted"] is not a table of perturbation × gene': {"adapted": PROFILES.to_numpy()},
    '["adapted"] is empty (0 perturbations × 3 genes)': {"adapted": PROFILES.iloc[:0]},
    '["adapted"] holds NaN or infinite values': {"adapted": PROFILES.replace(8.5, np.inf)},
    '["adapted"] holds values below 0, but a profile is log(1 + x) of': {"adapted": PROFILES - 1},
    "perturbation 'p2' occurs more than once": {"adapted": PROFILES.set_axis(["p2", "p2"], axis=0)},
    "column 'g1' occurs more than once": {"adapted": PROFILES.set_axis(["g1", "g1", "g3"], axis=1)},
    '["adapted"] has 2 genes, not the 3 of the dataset': {
        "zero_shot": PROFILES,
        "adapted": PROFILES[GENES[:2]],
    },
    "gene 'other' is not one of the dataset": {"adapted": PROFILES.rename(columns={"g2": "other"})},
    "the genes are not in the order of the dataset": {"adapted": PROFILES[GENES[::-1]]},
}


@pytest.mark.parametrize(
    ("said", "predictions"), WRONG_PREDICTIONS.items(), ids=range(len(WRONG_PREDICTIONS))
)
def test_predictions_that_are_none_are_told_in_one_sentence(said, predictions):
    fit = Fit(cells=CELLS, latents=np.ones((4, 2)), predictions=predictions)
    with pytest.raises(BenchmarkError) as error:
        fits.validate(fit, "f.h5ad", CELLS, GENES)
    assert str(error.value).startswith('f.h5ad: uns["predictions"]')
    assert said in str(error.value)


def group(counts=COUNTS, perturbation=DRAWN):
    """Generated cells as another program may write them."""
    return {"counts": counts, "perturbation": perturbation}


@pytest.mark.parametrize("counts", [COUNTS, COUNTS / 2, sparse.csc_matrix(COUNTS), sparse.coo_array(COUNTS)])
def test_generated_cells_are_of_any_kind_of_table(counts):
    fit = Fit(CELLS, predictions={"adapted": PROFILES}, generated={"adapted": group(counts)})
    found = fits.validate(fit, "f.h5ad").generated["adapted"].counts
    assert (found.format, found.dtype, found.nnz) == ("csr", np.float32, 3)
    np.testing.assert_array_equal(found.toarray(), counts.toarray() if sparse.issparse(counts) else counts)


WRONG_CELLS = {
    "not a group of named values": [group()],
    "unknown basis 'adaptive', did you mean 'adapted'?": {"adaptive": group()},
    '["zero_shot"] has no predictions beside it': {"zero_shot": group()},
    '["adapted"] is not a group of': {"adapted": COUNTS},
    '["adapted"]["perturbation"] is missing': {"adapted": {"counts": COUNTS}},
    '["counts"] has shape (3,), not cells × genes': {"adapted": group(COUNTS[0])},
    '["counts"] holds text': {"adapted": group(COUNTS.astype(str))},
    '["counts"] holds NaN or infinite': {"adapted": group(COUNTS + np.nan)},
    '["counts"] holds values below 0': {"adapted": group(-COUNTS)},
    '["counts"] has 2 genes, not the 3 of the predictions': {"adapted": group(COUNTS[:, :2])},
    '["perturbation"] has shape (2,), but there are 3 cells': {"adapted": group(perturbation=["p2", "p3"])},
    "unknown perturbation 'p4', did you mean": {"adapted": group(perturbation=["p2", "p3", "p4"])},
    "has no cell of perturbation 'p2', which is predicted": {"adapted": group(perturbation=["p3"] * 3)},
    "has 101 cells of perturbation 'p3', but 100 are the most": {
        "adapted": group(np.ones((102, 3)), ["p2", *["p3"] * (MOST_CELLS + 1)])
    },
}


@pytest.mark.parametrize(("said", "generated"), WRONG_CELLS.items(), ids=range(len(WRONG_CELLS)))
def test_generated_cells_that_are_none_are_told_in_one_sentence(said, generated):
    fit = Fit(CELLS, predictions={"adapted": PROFILES}, generated=generated)
    with pytest.raises(BenchmarkError) as error:
        fits.validate(fit, "f.h5ad", CELLS, GENES)
    assert str(error.value).startswith('f.h5ad: uns["generated"]')
    assert said in str(error.value)


WRONG_CHANGES = {
    "not a group of named values": PROBABILITY,
    "unknown table 'probabilities', did you mean 'probability'?": {"probabilities": PROBABILITY},
    '["log2_fold_change"] is missing': {"probability": PROBABILITY},
    '["probability"] holds values outside [0, 1]': CHANGES | {"probability": PROBABILITY + 0.5},
    "the tables name different perturbations": CHANGES | {"probability": PROBABILITY.rename({"p1": "p2"})},
    "the genes are not in the order of the dataset": CHANGES | {"log2_fold_change": PROBABILITY[GENES[::-1]]},
}


@pytest.mark.parametrize(("said", "changes"), WRONG_CHANGES.items(), ids=range(len(WRONG_CHANGES)))
def test_changes_of_genes_that_are_none_are_told_in_one_sentence(said, changes):
    fit = Fit(cells=CELLS, latents=np.ones((4, 2)), differential=changes)
    with pytest.raises(BenchmarkError) as error:
        fits.validate(fit, "f.h5ad", CELLS, GENES)
    assert str(error.value).startswith('f.h5ad: uns["differential"]')
    assert said in str(error.value)


def test_every_latent_has_its_genes():
    fit = Fit(cells=CELLS, latents=np.ones((4, 3)), latent_genes=OF_LATENTS)
    with pytest.raises(BenchmarkError, match='"latent_genes"] has 2 rows, not one for each of 3 latents'):
        fits.validate(fit, "f.h5ad", CELLS, GENES)


def test_without_latents_and_predictions_there_is_no_fit():
    for predictions in (None, {}):
        with pytest.raises(BenchmarkError) as error:
            fits.validate(Fit(cells=CELLS, predictions=predictions), "f.h5ad")
        said = 'obsm["latents"] and uns["predictions"] are both missing though the status is ok'
        assert str(error.value) == f"f.h5ad: {said}"


def test_what_is_said_of_latents_needs_latents():
    modes = Fit(cells=CELLS, predictions={"adapted": PROFILES}, latent_modes=np.ones((4, 2)))
    with pytest.raises(BenchmarkError, match="are modes of latents, but there are no latents"):
        fits.validate(modes, "f.h5ad")
    shifts = Fit(cells=CELLS, predictions={"adapted": PROFILES}, shifts=TARGETS)
    with pytest.raises(BenchmarkError, match="has 2 columns for a fit without latents"):
        fits.validate(shifts, "f.h5ad")


def test_modes_are_of_the_shape_of_the_latents(written):
    with h5py.File(written, "a") as file:
        del file["obsm/latent_modes"]
        elements = file["obsm"].create_dataset("latent_modes", data=np.ones((4, 3), dtype=np.float32))
        elements.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    assert complaint(written).endswith('obsm["latent_modes"] has shape (4, 3), but the latents have (4, 2)')


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "ok"])
def test_a_fit_that_failed_needs_no_latents(path, status):
    fits.write(Fit.failed(CELLS, status, "for a reason", setting="s"), path)
    run = fits.read(path, CELLS).run
    assert (run.status, run.message, run.setting) == (status, "for a reason", "s")


def test_writing_a_breach_leaves_no_file(path):
    fit = good_fit()
    fit.latents = None
    with pytest.raises(BenchmarkError, match="latents"):
        fits.write(fit, path)
    assert list(path.parent.iterdir()) == []


def test_missing_file(path):
    assert "no such file" in complaint(path)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all"])
def test_file_of_another_kind(path, content):
    path.write_bytes(content)
    assert "not a readable h5ad file" in complaint(path)


def test_truncated_file(written):
    written.write_bytes(written.read_bytes()[:-1000])
    assert "not a readable h5ad file" in complaint(written)


def remove_run(file):
    del file["uns/run"]


def remove_status(file):
    del file["uns/run/status"]


def misspell_status(file):
    del file["uns/run/status"]
    file["uns/run/status"] = "time_out"


def remove_latents(file):
    del file["obsm/latents"]


def replace_latents(file, values):
    attributes = dict(file["obsm/latents"].attrs)
    del file["obsm/latents"]
    file["obsm/latents"] = values
    file["obsm/latents"].attrs.update(attributes)


def deepen_latents(file):
    replace_latents(file, np.ones((4, 2, 1)))


def put_nan_into_latents(file):
    replace_latents(file, np.float32([[0, 1], [2, 3], [4, np.nan], [6, 7]]))


def put_infinity_into_latents(file):
    replace_latents(file, np.float32([[0, 1], [2, 3], [4, np.inf], [6, 7]]))


def add_a_latent(file):
    replace_latents(file, np.ones((4, 3)))


def write_latents_as_text(file):
    replace_latents(file, np.array([["a", "b"]] * 4, dtype="S1"))


def write_complex_latents(file):
    replace_latents(file, np.ones((4, 2), dtype=complex))


def remove_all_columns_of_latents(file):
    replace_latents(file, np.ones((4, 0)))


def write_huge_latents(file):
    replace_latents(file, np.full((4, 2), 1e38, dtype="float32"))


def rename_a_cell(file):
    file["obs/_index"][0] = "z"


def swap_cells(file):
    file["obs/_index"][:2] = ["b", "a"]


def put_a_probability_of_two(file):
    file["uns/targets/z1"][0] = 2


def put_nan_into_shifts(file):
    file["uns/shifts/z2"][1] = np.nan


def put_a_probability_above_one_into_likelihoods(file):
    file["obs/log_likelihood_zero_shot"][2] = 0.5


def put_infinity_into_likelihoods(file):
    file["obs/log_likelihood_zero_shot"][2] = -np.inf


def replace(file, key, value):
    """Put a value of another type where there is one."""
    del file[key]
    file[key] = value
    if np.ndim(value):
        kind = "string-array" if isinstance(value[0], str) else "array"
        file[key].attrs.update({"encoding-type": kind, "encoding-version": "0.2.0"})


def write_scores_as_text(file):
    replace(file, "obs/log_likelihood_zero_shot", ["low"] * 4)


def write_scores_as_yes_and_no(file):
    replace(file, "obs/log_likelihood_zero_shot", np.zeros(4, dtype=bool))


def say_that_fewer_than_one_sample_counts(file):
    file["obs"].attrs["column-order"] = ["log_likelihood_zero_shot", "effective_samples"]
    file["obs/effective_samples"] = np.array([np.nan, np.nan, 0.5, 1.5])


def write_targets_as_text(file):
    replace(file, "uns/targets/z1", ["yes", "no"])


def repeat_a_perturbation(file):
    file["uns/targets/_index"][:] = ["p1", "p1"]


def write_huge_shifts(file):
    file["uns/shifts/z1"][0] = 1e300


def drop_the_epoch(file):
    file["uns/history"].attrs["column-order"] = ["train", "validation"]


def count_epochs_down(file):
    file["uns/history/epoch"][:] = [-1, -2]


def write_losses_as_text(file):
    replace(file, "uns/history/train", ["high", "low"])


def write_seconds_as_text(file):
    replace(file, "uns/run/seconds", "fast")


def write_negative_seconds(file):
    replace(file, "uns/run/seconds", -1.0)


def write_an_endless_run(file):
    replace(file, "uns/run/seconds", np.inf)


def write_half_a_seed(file):
    replace(file, "uns/run/seed", 7.5)


def write_a_list_of_messages(file):
    replace(file, "uns/run/message", np.arange(3))


def write_a_list_of_statuses(file):
    replace(file, "uns/run/status", ["ok", "ok"])


def write_versions_as_text(file):
    replace(file, "uns/run/versions", "latest")


def write_run_as_text(file):
    replace(file, "uns/run", "status: ok")


def write_selection_as_text(file):
    replace(file, "uns/selection", "best")


def write_a_score_as_text(file):
    replace(file, "uns/selection/validation_likelihood", "best")


def win_by_an_infinite_likelihood(file):
    replace(file, "uns/selection/validation_likelihood", np.inf)


def win_by_an_impossible_likelihood(file):
    replace(file, "uns/selection/validation_likelihood", 3.0)


def claim_a_score_that_is_computed(file):
    file["uns/selection/udr"] = 1.0


def claim_a_column_of_the_table(file):
    file["uns/selection/status"] = 1.0


def write_targets_without_names(file):
    del file["uns/targets"]
    file["uns/targets"] = np.ones((2, 2))


BREACHES = {
    remove_run: 'uns["run"]["status"] is missing',
    remove_status: 'uns["run"]["status"] is missing',
    misspell_status: "uns[\"run\"][\"status\"]: unknown status 'time_out', did you mean 'timeout'?",
    remove_latents: 'uns["targets"] has 2 columns for a fit without latents',
    deepen_latents: 'obsm["latents"] has shape (4, 2, 1)',
    put_nan_into_latents: 'obsm["latents"] holds NaN or infinite values',
    put_infinity_into_latents: 'obsm["latents"] holds NaN or infinite values',
    add_a_latent: 'uns["targets"] has 2 columns for 3 latents',
    rename_a_cell: "obs_names are not the cells of the dataset",
    swap_cells: "obs_names are not the cells of the dataset, in its order",
    put_a_probability_of_two: 'uns["targets"] holds values outside [0, 1]',
    put_nan_into_shifts: 'uns["shifts"] holds NaN or infinite values',
    put_a_probability_above_one_into_likelihoods: 'obs["log_likelihood_zero_shot"] is up to 0.5 nats',
    put_infinity_into_likelihoods: 'obs["log_likelihood_zero_shot"] holds infinite values',
    write_targets_without_names: 'uns["targets"] is not a table',
    write_latents_as_text: 'obsm["latents"] holds text, not numbers',
    write_complex_latents: 'obsm["latents"] holds complex numbers, not numbers',
    remove_all_columns_of_latents: 'obsm["latents"] has shape (4, 0), not cells × latents (4 × 1 or more)',
    write_huge_latents: 'obsm["latents"] holds a value of size 1e+38; those above 1e+15 are too large',
    write_scores_as_text: "obs, column 'log_likelihood_zero_shot', holds text",
    write_scores_as_yes_and_no: 'obs["log_likelihood_zero_shot"] holds yes and no, not numbers',
    say_that_fewer_than_one_sample_counts: 'obs["effective_samples"] is down to 0.5',
    write_targets_as_text: "uns[\"targets\"], column 'z1', holds text",
    repeat_a_perturbation: "uns[\"targets\"]: perturbation 'p1' occurs more than once",
    write_huge_shifts: 'uns["shifts"] holds a value of size 1e+300',
    drop_the_epoch: "uns[\"history\"]: column 'epoch' is missing (columns: train, validation)",
    count_epochs_down: "uns[\"history\"], column 'epoch', holds values below 0",
    write_losses_as_text: "uns[\"history\"], column 'train', holds text",
    write_seconds_as_text: 'uns["run"]["seconds"] is \'fast\', not a number',
    write_negative_seconds: 'uns["run"]["seconds"] is -1, not a number of 0 or more',
    write_an_endless_run: 'uns["run"]["seconds"] is inf, not a number of 0 or more',
    write_half_a_seed: 'uns["run"]["seed"] is 7.5, not a whole number',
    write_a_list_of_messages: 'uns["run"]["message"] is an array of shape (3,), not a text',
    write_a_list_of_statuses: 'uns["run"]["status"] is an array of shape (2,), not a text',
    write_versions_as_text: 'uns["run"]["versions"] is not a group of named values',
    write_run_as_text: 'uns["run"]["status"] is missing',
    write_selection_as_text: 'uns["selection"] is not a group of named values',
    write_a_score_as_text: 'uns["selection"]["validation_likelihood"] is \'best\', not a number',
    win_by_an_infinite_likelihood: 'uns["selection"]["validation_likelihood"] is infinite',
    win_by_an_impossible_likelihood: 'uns["selection"]["validation_likelihood"] is 3 nats: above 0',
    claim_a_score_that_is_computed: 'uns["selection"]["udr"]: the benchmark has another column of that name',
    claim_a_column_of_the_table: 'uns["selection"]["status"]: the benchmark has another column of that name',
}


@pytest.mark.parametrize(("spoil", "said"), BREACHES.items(), ids=[spoil.__name__ for spoil in BREACHES])
def test_breach_is_told_in_one_sentence(written, spoil, said):
    with h5py.File(written, "r+") as file:
        spoil(file)
    assert said in complaint(written)


def test_a_folder_is_no_file(path):
    path.mkdir()
    assert "this is a folder, not a file" in complaint(path)


def test_values_may_be_of_any_type_of_number_and_arrays_of_one(written):
    """R writes single values as arrays of one, and has no integers of 64 bits."""
    with h5py.File(written, "r+") as file:
        replace_latents(file, np.arange(8).reshape(4, 2))
        replace(file, "uns/run/status", ["ok"])
        replace(file, "uns/run/seconds", np.array([2]))
        replace(file, "uns/run/seed", np.array([7.0]))
        replace(file, "uns/targets/z2", np.array([False, True]))
        fit = fits.read(written, CELLS)
    assert fit.latents.dtype == np.float32
    assert (fit.run.status, fit.run.seconds, fit.run.seed) == ("ok", 2.0, 7)
    assert fit.targets["z2"].tolist() == [0.0, 1.0]


def test_a_message_is_one_line(written):
    with h5py.File(written, "r+") as file:
        replace(file, "uns/run/message", "first\n\tsecond \x1b[31m" + "and so on " * 1000)
    message = fits.read(written, CELLS).run.message
    assert message.startswith("first second [31mand so on")
    assert len(message) == 1000


def test_of_a_fit_that_failed_only_how_it_ended_is_read(written):
    with h5py.File(written, "r+") as file:
        misspell_status(file)
        replace(file, "uns/run/status", "diverged")
        write_latents_as_text(file)
    fit = fits.read(written, CELLS)
    assert fit.run.status == "diverged"
    assert fit.latents is fit.targets is fit.shifts is fit.scores is None
    assert len(fit.history) == 2


def test_a_file_needs_only_what_the_contract_names(path):
    """What a program of another language writes, with none of the marks that anndata leaves."""
    with h5py.File(path, "w") as file:
        file["obs/_index"] = list(CELLS)
        file["obs"].attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0"})
        file["obs"].attrs.update({"_index": "_index", "column-order": np.array([], dtype="S1")})
        file["obsm/latents"] = np.ones((4, 2), dtype="float32")
        file["uns/run/status"] = "ok"
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    fit = fits.read(path, CELLS)
    assert fit.run.status == "ok"
    assert fit.latents.shape == (4, 2)
