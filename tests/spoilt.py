"""Scopes that are well, and what can be wrong with one of their entries."""

import copy
import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from svae.models import FAMILY
from svae.workflow.paths import HDF5

Place = tuple[str | int, ...]

SCREEN, PATHWAYS = "data/screen.h5ad", "data/pathways.json"
PROGRAM = "mine"
"""A method that is a rule file: nobody but its program knows its options."""

GRIDS: dict[str, dict[str, list]] = {
    "svae_plus": {"penalty": [1, 10.5, 100], "n_latent": [2, 3], "beta": [0.5, 2]},
    "svae": {"penalty": [0, 3], "learning_rate": [0.001, "1e-2"], "initial_logit": [-1.0, 5]},
    "ivae": {"n_hidden": [8, 16], "dropout_rate": [0, 0.1], "preset": ["tuned", "original"]},
    "beta_vae": {"beta": [2, 4], "batch_size": [64, 128]},
    "vae": {"n_layers": [1, 2], "keep": ["last", "best"]},
    "pca": {"n_latent": [2, 3], "whiten": [True, False]},
    "ica": {"fun": ["logcosh", "cube"], "tol": ["1e-3", 0.01]},
    "random": {"n_latent": [1, 2]},
    "oracle": {},
    "no_change": {},
    PROGRAM: {"anything": ["a", 1, 2.5], "more": [True, None]},
}
TRAINING: dict[str, list] = {
    "preset": ["tuned", "original"],
    "max_epochs": [3, 2.0],
    "refit_epochs": [1],
    "learning_rate": [0.01, "1e-3"],
    "dense": [0, 0.4],
    "patience": [None, 5],
    "objective": ["mean", "sum"],
}
PARAMETERS: dict[str, list] = {
    "genes": [50, 60],
    "latents": [3],
    "library_sd": [100, 1e3],
    "dispersion": [None, 2],
}
REAL: dict[str, list] = {
    "control": ["ctrl", ["ctrl", "nt"]],
    "control_pattern": ["nt[0-9]+"],
    "guide_pattern": ["(.+)_[0-9]+"],
    "guide": ["guide", ["sgrna", "protospacer"]],
    "separator": ["_"],
    "batch": ["lane", ["lane", "day"]],
    "filters": [
        {"n_guides": 1, "mito": {"max": 15}},
        {"kind": ["a", "b"], "mito": {"min": 0.1, "max": "1e3"}},
    ],
    "perturbations": [["a", "b"]],
    "min_cells": [5],
    "max_cells": [100],
    "max_control_cells": [200],
    "min_cells_per_gene": [10],
    "genes": [[f"g{number}" for number in range(20)]],
    "top_genes": [18],
    "top_genes_on": ["all", "control"],
    "keep_perturbed": [False],
}
SPLITS: list[dict[str, Any]] = [
    {"kind": "random", "held_out": 0.2},
    {"kind": "random", "held_out": 3, "validation": 0},
    {"kind": "named", "held_out": ["p01", "p05..p09"]},
    {"kind": "named", "held_out": "p01..p03"},
    {"kind": "pathway", "held_out": "exosome", "pathways": PATHWAYS},
    {"kind": "largest_effect", "held_out": 5, "validation": "1e-1"},
]
TOP: dict[str, list] = {
    "title": ["A screen"],
    "seed": [0, 7],
    "latents": [1, 5],
    "likelihood_samples": [10, "1e2"],
    "accelerator": ["cpu", "auto"],
    "fleet_size": [None, 2],
    "timeout_minutes": [None, 0.5],
    "metrics": [None, ["mcc_pearson", "r2"]],
}


def write_files(folder: Path) -> None:
    """Write the files that the scopes name into a folder that they are read in."""
    (folder / "data").mkdir()
    (folder / SCREEN).write_bytes(HDF5)
    (folder / PATHWAYS).write_text(json.dumps({"exosome": ["p01", "p02"], "other": ["p03"]}))


def some(draw: st.DrawFn, choices: dict[str, list]) -> dict[str, Any]:
    """Draw some of the keys, each with one of its values."""
    keys = draw(st.lists(st.sampled_from(sorted(choices)), unique=True, max_size=3)) if choices else []
    return {key: copy.deepcopy(draw(st.sampled_from(choices[key]))) for key in keys}


@st.composite
def methods(draw: st.DrawFn, name: str) -> dict[str, Any] | None:
    """Draw what a scope says of a method."""
    options = some(draw, GRIDS[name])
    grid = {
        key: draw(st.lists(st.sampled_from(values), min_size=1, unique_by=str))
        for key, values in GRIDS[name].items()
        if key not in options and draw(st.booleans())
    }
    entry: dict[str, Any] = {"options": options, "grid": grid, "restarts": draw(st.sampled_from([1, 3]))}
    return draw(st.sampled_from([entry, {"grid": grid}, None]))


def any_restarts(methods: dict[str, Any]) -> bool:
    """Whether a method has restarts, which the rule `udr` compares."""
    return any((entry or {}).get("restarts", 1) > 1 for entry in methods.values())


@st.composite
def scopes(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a scope that can be planned."""
    names = draw(st.lists(st.sampled_from(sorted(GRIDS)), min_size=1, max_size=4, unique=True))
    replicates = draw(st.sampled_from([1, 2]))
    simulated = {"simulator": "corrected", "parameters": some(draw, PARAMETERS)}
    if draw(st.booleans()):
        simulated["seeds"] = [4, 5][:replicates]
    origin = draw(st.sampled_from([{"source": "norman2019"}, {"path": SCREEN}]))
    real = {**origin, "label": "guide", **some(draw, REAL)}
    first = draw(st.sampled_from([split for split in SPLITS if split.get("validation") != 0]))
    splits = [first, *draw(st.lists(st.sampled_from(SPLITS), max_size=1))]
    scope: dict[str, Any] = {
        "scope": "mine",
        "replicates": replicates,
        **some(draw, TOP),
        "datasets": draw(
            st.sampled_from([{"simulated": simulated}, {"simulated": simulated, "real-1": real}])
        ),
        "splits": {f"split_{number}": copy.deepcopy(split) for number, split in enumerate(splits)},
        "training": some(draw, TRAINING) if {*FAMILY, PROGRAM} & set(names) else {},
        "methods": {name: draw(methods(name)) for name in names},
    }
    if not {"svae", "svae_plus", PROGRAM} & set(names):
        scope["training"].pop("dense", None)  # of masks, which no other method has
    if draw(st.booleans()):
        scope["datasets"]["simulated"] |= {"splits": list(scope["splits"]), "methods": names[:]}
    if draw(st.booleans()):
        scope["reference"] = names[-1]
        rules = ["fixed", "validation_likelihood"] + ["udr"] * any_restarts(scope["methods"])
        scope["selection"] = {"rule": draw(st.sampled_from(rules))}
    return scope


JUNK = [
    *(
        None,
        True,
        False,
        "",
        " ",
        "text",
        "yes",
        "1e-3",
        "ä",
        "a b",
        "a/b",
        "../..",
        "{x}",
        "a\nb",
        "~/x",
        "x" * 300,
    ),
    *(0, -1, 1, 2, 1.0, 1.5, -0.5, 10**9, 10**30, -(10**30), 1e308, float("nan"), float("inf")),
    *([], [[]], [1, 1], ["a", "a"], [None], {}, {"a": 1}, {"min": 1}, {1: 2}, {None: None}),
    *(datetime.date(2020, 1, 1), b"bytes", "p9..p2", "p1..p999999999", "control"),
]
"""Values that somebody might write, or YAML might read."""

TYPOS = [
    *(str.upper, str.title, lambda key: key[:-1], lambda key: key[1:], lambda key: key + "s"),
    *(lambda key: key[:1] + key[2:], lambda key: key.replace("_", " "), lambda key: f" {key}"),
]


@dataclass(frozen=True)
class Defect:
    """One thing that is wrong with a scope, or that is at least different.

    Attributes
    ----------
    kind
        ``name``, ``value``, ``missing`` or ``extra``.
    place
        Keys that lead to it.
    config
        The scope with it.
    """

    kind: str
    place: Place
    config: Any

    @property
    def is_free(self) -> bool:
        """Whether any name is right here: of datasets, splits and columns, and of a program's own options."""
        parents = self.place[:-1]
        own = parents[:2] == ("methods", PROGRAM) and len(parents) > 2
        return parents in (("datasets",), ("splits",)) or "filters" in parents or own


def entries(tree: Any, place: Place = ()) -> Iterator[Place]:
    """Places of all entries of nested mappings and lists."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*place, key)
        yield from entries(value, (*place, key))


@st.composite
def defects(draw: st.DrawFn) -> Defect:
    """Draw a scope with one defect."""
    config = draw(scopes())
    place = draw(st.sampled_from(sorted(entries(config), key=str)))
    kind = draw(st.sampled_from(["name", "value", "missing", "extra"]))
    *parents, last = place
    parent: Any = config
    for key in parents:
        parent = parent[key]
    junk = copy.deepcopy(draw(st.sampled_from(JUNK)))
    if kind == "value" or (kind == "name" and isinstance(parent, list)):
        parent[last] = junk
        return Defect("value", place, config)
    if kind == "missing":
        del parent[last]
        return Defect(kind, place, config)
    if isinstance(parent, list):
        parent.append(draw(st.sampled_from([junk, parent[last]])))
        return Defect("value", place, config)
    typo = draw(st.sampled_from(TYPOS))
    new = draw(
        st.one_of(st.just(typo(str(last))), st.text(max_size=8), st.sampled_from([1, None, True, 2.5]))
    )
    if new in parent:
        new = f"{new}_"
    value = parent.pop(last) if kind == "name" else draw(st.sampled_from([junk, parent[last]]))
    parent[new] = value
    return Defect(kind, (*parents, new), config)
