"""The share of cells that respond: found where it is known, and not where nothing happens."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from svae.evaluation.responding import responding_shares

CELLS, GENES = 600, 200
SHARES = {"all": 1.0, "most": 0.7, "few": 0.3, "none": 0.0}


def halves(labels, cells=None):
    """Every other cell in either half."""
    cells = pd.Index([f"c{i}" for i in range(len(labels))]) if cells is None else cells
    whole = pd.Series(labels, cells)
    first = np.arange(len(labels)) % 2 == 0
    return whole[first], whole[~first]


def counts_of(means, seed=0):
    counts = sparse.csr_matrix(np.random.default_rng(seed).poisson(means).astype(np.float32))
    obs = pd.DataFrame(index=[f"c{i}" for i in range(len(means))])
    return ad.AnnData(counts, obs=obs)


def screen(fold=4.0):
    """Some cells of each perturbation have ten genes up by `fold`, the others are like the control."""
    labels = np.repeat(["control", *SHARES], CELLS)
    means = np.full((len(labels), GENES), 3.0)
    for name, share in SHARES.items():
        cells = np.flatnonzero(labels == name)
        means[np.ix_(cells[np.arange(CELLS) % 10 < 10 * share], np.arange(10))] *= fold
    return counts_of(means), labels


def test_the_share_is_found_where_responding_cells_stand_apart():
    dataset, labels = screen()
    shares = responding_shares(dataset, halves(labels))
    assert sorted(shares.index) == sorted(SHARES)
    for name, share in SHARES.items():
        assert shares[name] == pytest.approx(share, abs=0.08), name


def test_of_a_weak_response_it_tells_no_more_than_there_is():
    dataset, labels = screen(fold=1.3)
    shares = responding_shares(dataset, halves(labels))
    for name, share in SHARES.items():
        assert shares[name] < share + 0.08, name
    assert shares["all"] > 0.2


def test_noise_of_few_cells_and_many_genes_is_no_response():
    """The direction of 20 cells is mostly noise, in which these very cells would stand apart."""
    labels = np.repeat(["control", *(f"p{k}" for k in range(30))], [CELLS, *[20] * 30])
    dataset = counts_of(np.full((len(labels), GENES), 3.0))
    learnt_from_themselves = responding_shares(dataset, (halves(labels)[0],) * 2)
    assert learnt_from_themselves.mean() > 0.5
    assert responding_shares(dataset, halves(labels)).mean() < 0.15


def test_nothing_is_told_without_a_control_or_a_half():
    dataset, labels = screen()
    without = labels != "control"
    cells = pd.Index(dataset.obs_names[without])
    assert responding_shares(dataset, halves(labels[without], cells)).isna().all()
    one, other = halves(labels)
    told = responding_shares(dataset, (one, other[other != "few"]))
    assert set(told.dropna().index) == set(SHARES) - {"few"}
