"""A small screen as somebody would publish it, and a scope that runs on it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from svae.files import checksum

GUIDES = {"ctrl": 60, "A": 40, "B": 40, "C": 40, "D": 40, "E_ctrl": 40, "B_A": 40, "strong": 40}
"""Guides of the screen, as its authors call them, and the cells of each."""
FOLD = {"strong": 8.0}  # expression of a perturbation's own two genes; others change by this much:
USUAL_FOLD = 2.0
GENES = 30


def write_screen(path: Path) -> None:
    """Write a screen: counts, guides, the lane of each cell, and the share of its mitochondrial counts."""
    random = np.random.default_rng(0)
    guides = random.permutation(np.repeat(list(GUIDES), list(GUIDES.values())))
    means = np.tile(random.gamma(4, 2, size=GENES), (len(guides), 1))
    for place, guide in enumerate(GUIDES):
        if guide != "ctrl":
            means[np.ix_(guides == guide, [2 * place, 2 * place + 1])] *= FOLD.get(guide, USUAL_FOLD)
    obs = pd.DataFrame(
        {
            "guide": pd.Categorical(guides),
            "lane": pd.Categorical(random.choice(["L1", "L2"], len(guides))),
            "mito": random.uniform(0, 0.2, len(guides)),
        },
        index=[f"cell{i}" for i in range(len(guides))],
    )
    var = pd.DataFrame(index=[f"gene{j}" for j in range(GENES)])
    counts = sparse.csr_matrix(random.poisson(means).astype(np.float32))
    path.parent.mkdir(parents=True, exist_ok=True)
    ad.AnnData(counts, obs=obs, var=var).write_h5ad(path)


def table_row(name: str, file: Path) -> str:
    """Return a line of config/datasets.tsv for a file of this machine."""
    size, digest = file.stat().st_size, checksum(file, "md5")
    fields = (name, file.name, file.as_uri(), size, f"md5:{digest}", "Somebody et al. (2025)", "CC0")
    return "\t".join(map(str, fields)) + "\n"


ENTRY = {"label": "guide", "control": "ctrl", "separator": "_", "batch": "lane"}
SCREENS: Mapping[str, Any] = {
    "scope": "screens",
    "seed": 3,
    "latents": 3,
    "accelerator": "cpu",
    "likelihood_samples": 20,
    "datasets": {
        "local": {
            **ENTRY,
            "path": "data/screen.h5ad",
            "filters": {"mito": {"max": 0.19}},
            "max_cells": 30,
            "splits": ["stress"],
            "gene_sets": "config/gene_sets.gmt",
        },
        "public": {**ENTRY, "source": "made", "top_genes": 25, "splits": ["strongest"]},
    },
    "splits": {
        "stress": {"kind": "pathway", "pathways": "config/pathways.json", "held_out": "stress"},
        "strongest": {"kind": "largest_effect", "held_out": 1},
    },
    "training": {"preset": "tuned", "max_epochs": 3, "refit_epochs": 2},
    "methods": {
        "svae_plus": {"grid": {"penalty": [10, 100]}, "restarts": 2},
        "pca": {"grid": {"n_latent": [2, 3]}},
    },
    "reference": "svae_plus",
    "selection": {"rule": "udr"},
}
"""Real files, one local and one downloaded; every kind of split that looks at data; restarts."""
GENE_SETS = {"first": [f"gene{j}" for j in range(10)], "small": ["gene0", "gene1"]}
PATHWAYS = {"stress": ["A", "C", "not in the screen"], "other": ["B"]}
