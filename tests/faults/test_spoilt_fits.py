"""Whatever is wrong with one fit file, it gets a status and a sentence, and the others keep their numbers."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from draws import draws
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from svae.contracts import fit as fits
from svae.contracts.fit import Fit, Run
from svae.contracts.fit_parts import CELL_COLUMNS, CHANGES
from svae.contracts.generated import GeneratedCells
from svae.contracts.run import STATUSES
from svae.contracts.tables import (
    HISTORY_COLUMNS,
    METRICS_COLUMNS,
    TARGETS_COLUMNS,
    concatenate,
    concatenate_status,
    with_run,
)
from svae.evaluation.evaluate import Evaluation, evaluate_fits, read_fit
from svae.evaluation.metrics import METRICS, latents
from svae.evaluation.response import summarise_responses
from svae.evaluation.selection import select
from svae.files import write_table
from svae.workflow.guard import guarded

RUN = {"dataset": "d", "split": "s", "replicate": 0, "method": "m"}
SPOILT, GOOD = "x=1.r0", "x=1.r1"
LABELS = ["control"] * 12 + ["p0"] * 12 + ["p1"] * 12 + ["p2"] * 24
CELLS = pd.Index([f"cell{i}" for i in range(len(LABELS))])
PARTS = (["train"] * 9 + ["validation"] * 3) * 3 + ["adapt"] * 12 + ["test"] * 12
SPLIT = pd.DataFrame({"cell": CELLS, "perturbation": LABELS, "part": PARTS})
LATENTS = ["z1", "z2"]
TARGETS = pd.DataFrame([[0, 0], [1, 0], [0, 1]], ["control", "p0", "p1"], LATENTS, dtype=float)


TRUTH = ad.AnnData(
    obs=pd.DataFrame(index=CELLS),
    obsm={"latents": np.random.default_rng(0).normal(size=(len(CELLS), 2)).astype(np.float32)},
    uns={"targets": pd.concat([TARGETS, pd.DataFrame(1.0, ["p2"], LATENTS)])},
)


DATASET = ad.AnnData(
    X=sparse.csr_matrix(np.random.default_rng(1).poisson(5.0, size=(len(CELLS), 6)) + 1),
    obs=pd.DataFrame(index=CELLS),
    var=pd.DataFrame(index=[f"gene{g}" for g in range(6)]),
)
RESPONSE = summarise_responses(DATASET, SPLIT)
MOVED = pd.DataFrame(0.5, ["p0", "p1"], DATASET.var_names)


def good_fit(setting: str) -> Fit:
    """A fit with everything that a fit can have."""
    random = np.random.default_rng(len(setting))
    held_out = np.array(LABELS) == "p2"
    values = np.where(held_out, -100 - random.random(len(CELLS)), np.nan)
    scores = pd.DataFrame(dict.fromkeys(CELL_COLUMNS, values), index=CELLS)
    scores["log_likelihood_clean"] = scores["log_likelihood_clean"].where(np.array(PARTS) == "test")
    scores[["reconstruction", "effective_samples"]] *= -1
    return Fit(
        cells=CELLS,
        latents=TRUTH.obsm["latents"] + 0.1 * random.normal(size=(len(CELLS), 2)).astype(np.float32),
        scores=scores,
        targets=0.9 * TARGETS,
        shifts=3 * TARGETS,
        history=pd.DataFrame({"epoch": [1, 2], "train": [3.0, 2.0], "validation": [3.5, np.nan]}),
        selection={"validation_likelihood": -1.5, "own": 3.0},
        run=Run(setting=setting, seed=7, seconds=1.5, peak_memory_mb=80.0),
        predictions={"adapted": RESPONSE.adapt},
        generated={"adapted": GeneratedCells(DATASET.X[-3:], np.repeat("p2", 3))},
        differential=dict.fromkeys(CHANGES, MOVED),
    )


# --- what can be wrong ----------------------------------------------------------------------------


def remove(file, name):
    del file[name]


def put(file, name, value):
    """Put a value where there is another, or none."""
    attributes = dict(file[name].attrs) if name in file else {}
    if name in file:
        del file[name]
    file[name] = value
    file[name].attrs.update(attributes)


def put_of_its_own_type(file, name, value):
    """The same, with what says of which type it is."""
    del file[name]
    file[name] = value
    text = isinstance(value, str) or (isinstance(value, list) and isinstance(value[0], str))
    kind = "string" if text else "numeric-scalar" if np.ndim(value) == 0 else "array"
    kind = "string-array" if text and np.ndim(value) else kind
    file[name].attrs.update({"encoding-type": kind, "encoding-version": "0.2.0"})


def rename(file, name, new):
    file.move(name, f"{name.rpartition('/')[0]}/{new}")


def change(file, name, place, value):
    """Change one of the values of an array."""
    values = file[name]
    if values.shape and values.size:
        place = np.unravel_index(place % values.size, values.shape)
        if h5py.check_string_dtype(values.dtype):
            values[place] = str(value)
        elif values.dtype.kind == "f":
            values[place] = value


def reshape(file, name, how):
    """Give an array another shape; its values are kept."""
    values = file[name][()]
    if np.ndim(values):
        put(file, name, how(values))


def mark(file, name, attribute, value):
    file[name].attrs[attribute] = value


def unmark(file, name, attribute):
    file[name].attrs.pop(attribute, None)


def twice(values):
    return np.concatenate([values, values])


def half(values):
    return values[: len(values) // 2]


def none(values):
    return values[:0]


def without_columns(values):
    return values[..., :0]


def deeper(values):
    return values[..., np.newaxis]


def flat(values):
    return values.reshape(-1)


def reverse(values):
    return values[::-1]


def only_a_name(path, name):
    """What is left of a link whose file was removed."""
    path.unlink()
    path.symlink_to(name)


def a_folder(path, name):
    path.unlink()
    (path / name).mkdir(parents=True)


def a_pipe(path, name):
    path.unlink()
    os.mkfifo(path)


def cut_off(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def other_content(path, content):
    path.write_bytes(content)


GROUPS = ("obs", "obsm", "uns", "uns/history", "uns/run", "uns/run/versions", "uns/selection", "uns/shifts")
GROUPS += (
    "uns/predictions",
    "uns/predictions/adapted",
    "uns/generated",
    "uns/generated/adapted",
    "uns/generated/adapted/counts",
    "uns/differential",
    *(f"uns/differential/{table}" for table in CHANGES),
    "uns/targets",
    "layers",
    "obsp",
    "var",
    "varm",
    "varp",
)
ARRAYS = ("obs/_index", *(f"obs/{column}" for column in CELL_COLUMNS), "obsm/latents", "var/_index")
ARRAYS += tuple(f"uns/history/{column}" for column in ("_index", "epoch", "train", "validation"))
ARRAYS += tuple(f"uns/{table}/{column}" for table in ("shifts", "targets") for column in ("_index", *LATENTS))
ARRAYS += ("uns/predictions/adapted/_index", "uns/predictions/adapted/p2")
ARRAYS += tuple(f"uns/generated/adapted/counts/{name}" for name in ("data", "indices", "indptr"))
ARRAYS += ("uns/generated/adapted/perturbation",)
ARRAYS += tuple(f"uns/differential/{table}/{name}" for table in CHANGES for name in ("_index", "p0", "p1"))
VALUES = tuple(f"uns/run/{name}" for name in vars(Run()) if name != "versions")
VALUES += ("uns/selection/own", "uns/selection/validation_likelihood")

WORDS = ("", "ok", "diverged", "default", SPOILT, GOOD, "control", "p0", "cell1", "udr", "method", "NaN")
NUMBERS = (0, 1, -1, 2, 0.5, 1e20, -1e38, 1e300, np.nan, np.inf, -np.inf)
SIZES = (0, 1, 2, 3, 12, len(CELLS))
TYPES = ("bool", "i1", "u8", "f2", "c16", "S3", [("a", "f8"), ("b", "i4")])
NEW_NAMES = ("z3", "status", "udr", "method", "own", "latents", "log_likelihood_clean", "zero_shot", "a b")
NEW_NAMES += ("é",)
ATTRIBUTES = ("encoding-type", "encoding-version", "column-order", "_index")
ENCODINGS = ("dict", "dataframe", "array", "string", "string-array", "csr_matrix", "categorical")
SHAPES = (twice, half, none, without_columns, deeper, flat, reverse, np.transpose)

words = st.sampled_from(WORDS) | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
# Without the smallest numbers, which PyTorch rounds to 0 once another test has loaded it.
numbers = st.sampled_from(NUMBERS) | st.floats(allow_subnormal=False)
integers = st.integers(-(2**63), 2**63 - 1)
singles = st.one_of(numbers, integers, words, st.booleans(), st.just(b"\xff\xfe"), st.just(1j))
sizes = st.sampled_from(SIZES)
lists = st.one_of(
    st.builds(np.full, st.one_of(sizes, st.tuples(sizes, sizes), st.tuples(sizes, sizes, sizes)), numbers),
    st.builds(np.zeros, sizes, st.sampled_from(TYPES)),
    st.lists(words, min_size=1, max_size=4),
)
names = st.sampled_from(GROUPS + ARRAYS + VALUES)
arrays = st.sampled_from(ARRAYS)
new_names = st.sampled_from(NEW_NAMES)
additions = st.builds("{}/{}".format, st.sampled_from(GROUPS), new_names)
attributes = st.sampled_from(ATTRIBUTES)

inside = st.one_of(
    st.tuples(st.just(remove), names),
    st.tuples(st.just(put), names, singles | lists),
    st.tuples(st.just(put), additions, singles | lists),
    st.tuples(st.just(put_of_its_own_type), names, singles | lists),
    st.tuples(st.just(rename), names, new_names),
    st.tuples(st.just(change), arrays, st.integers(0, 200), singles),
    st.tuples(st.just(reshape), arrays, st.sampled_from(SHAPES)),
    st.tuples(st.just(mark), names, attributes, st.sampled_from(ENCODINGS) | singles | lists),
    st.tuples(st.just(unmark), names, attributes),
)
outside = st.one_of(
    st.tuples(st.sampled_from([only_a_name, a_folder, a_pipe]), st.just("elsewhere")),
    st.tuples(st.just(cut_off), st.floats(0, 1, allow_subnormal=False)),
    st.tuples(st.just(other_content), st.binary(max_size=100)),
)
faults = st.integers(0, 9).flatmap([outside, *[inside] * 9].__getitem__)


def spoil(path: Path, fault: tuple) -> None:
    """Do one thing to the file at `path`; HDF5 itself refuses a few, which leave it as it is."""
    how, *arguments = fault
    if how in (only_a_name, a_folder, a_pipe, cut_off, other_content):
        how(path, *arguments)
        return
    with h5py.File(path, "r+") as file, suppress(TypeError, ValueError, KeyError, OSError, UnicodeError):
        how(file, *arguments)


# --- what may come of it --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> dict[str, Path]:
    """A good file for each setting."""
    folder = tmp_path_factory.mktemp("good")
    paths = {setting: folder / f"{setting}.h5ad" for setting in (SPOILT, GOOD)}
    for setting, path in paths.items():
        fits.write(good_fit(setting), path)
    return paths


@pytest.fixture(scope="module")
def others(good) -> Evaluation:
    """Tables of the good fit alone."""
    return evaluate({GOOD: good[GOOD]})


def evaluate(paths: Mapping[str, Path]) -> Evaluation:
    """Evaluate fits as the workflow does, but with small forests, which take most of the time."""
    read = {setting: read_fit(path, SPLIT, RESPONSE.genes) for setting, path in paths.items()}
    grid_points, metrics = dict.fromkeys(paths, "x=1"), list(METRICS.values())
    with patch.object(latents, "DCI_TREES", 2):
        return evaluate_fits(read, grid_points, SPLIT, TRUTH, metrics, seed=0, response=RESPONSE)


def check_tables(found: Evaluation, others: Evaluation, folder: Path) -> None:
    """Assert that both fits are in the tables, the good one as ever, and that the tables can be used."""
    assert found.status["setting"].tolist() == [SPOILT, GOOD]
    status = found.status.set_index("setting").loc[SPOILT]
    assert status["status"] in STATUSES
    assert "\n" not in status["message"]
    assert len(status["message"]) <= 1000
    values = found.metrics.set_index("setting").loc[SPOILT, "value"]
    assert not np.isinf(values).any()
    if status["status"] != "ok":
        assert values.isna().all()
    for name in Evaluation._fields:
        table, alone = getattr(found, name), getattr(others, name)
        kept = table[table["setting"] == GOOD].reset_index(drop=True)
        pd.testing.assert_frame_equal(kept[list(alone)], alone, check_dtype=False)
    paths = {name: folder / f"{name}.tsv" for name in Evaluation._fields}
    tables = found._replace(status=found.status.assign(fit="a path"))
    for name, path in paths.items():
        write_table(with_run(getattr(tables, name), **RUN), path)
    concatenate([paths["history"]], HISTORY_COLUMNS)
    concatenate([paths["targets"]], TARGETS_COLUMNS)
    selected = select(concatenate_status([paths["status"]]), concatenate([paths["metrics"]], METRICS_COLUMNS))
    assert set(selected["setting"].dropna()) <= {SPOILT, GOOD}
    if status["status"] != "ok":
        assert SPOILT not in set(selected["setting"])


def test_every_part_of_a_fit_is_spoilt(good):
    found: list[str] = []
    with h5py.File(good[SPOILT]) as file:
        file.visit(found.append)
    versions = {name for name in found if name.startswith("uns/run/versions/")}
    assert set(found) - versions == {*GROUPS, *ARRAYS, *VALUES}


@draws(quick=8, full=500)
@given(fault=faults)
def test_a_spoilt_fit_gets_a_status_and_takes_nothing_from_the_others(good, others, fault):
    with TemporaryDirectory() as place:
        made = {setting: Path(shutil.copy(path, place)) for setting, path in good.items()}
        spoil(made[SPOILT], fault)
        check_tables(evaluate(made), others, Path(place))

        owed = {setting: Path(place, f"owed {setting}.h5ad") for setting in made}

        def work():
            for setting in made:
                made[setting].rename(owed[setting])

        told = guarded(work, list(owed.values()), list(owed), CELLS)
        ended = [fits.read(path, CELLS).run for path in owed.values()]
        assert told == [run.status for run in ended]
        assert ended[1].status == "ok"
        if "failed" in told:
            assert ended[0].message
        check_tables(evaluate(owed), others, Path(place))
