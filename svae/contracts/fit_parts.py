"""The parts of a fit file: each is what the table in :mod:`svae.contracts.fit` says, or gets one sentence.

The `place` that every function takes is the file and the key, as the sentence begins.
"""

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd

from svae.contracts.tables import STATUS_COLUMNS
from svae.contracts.values import (
    array_of_numbers,
    mapping,
    number,
    refuse_repeated,
    refuse_unbounded,
    table_of_numbers,
)
from svae.errors import BenchmarkError, one_line, unknown
from svae.words import PROTOCOLS, Basis

LIKELIHOODS = tuple(f"log_likelihood_{protocol}" for protocol in PROTOCOLS)
NEVER_ABOVE_0 = (*LIKELIHOODS, "log_likelihood_same_cells_original", "elbo", "best_elbo")
CELL_COLUMNS = (*NEVER_ABOVE_0, "reconstruction", "effective_samples")
BASES: tuple[Basis, ...] = get_args(Basis)
CHANGES = ("probability", "log2_fold_change")
COMPUTED_COLUMNS = (*STATUS_COLUMNS, "udr")  # beside these, the table of statuses holds the scores of fits
ROUNDING = 0.01  # nats by which single precision may miss a probability of 1


def checked_selection(entry: Any, place: str) -> dict[str, float]:
    """Check label-free scores, by name."""
    scores = {name: number(value, f'{place}["{name}"]') for name, value in mapping(entry, place).items()}
    for name, value in scores.items():
        if name in COMPUTED_COLUMNS:
            raise BenchmarkError(f'{place}["{name}"]: the benchmark has another column of that name')
        if np.isinf(value):
            raise BenchmarkError(f'{place}["{name}"] is infinite')
        if name == "validation_likelihood" and value > ROUNDING:
            raise BenchmarkError(f'{place}["{name}"] is {value:.3g} nats: above 0, a probability above 1')
    return scores


def checked_history(table: Any, place: str) -> pd.DataFrame:
    """Check a learning curve: epoch, train and validation loss in nats per cell."""
    history = table_of_numbers(table, place, "epoch, train and validation")
    for column in ("epoch", "train", "validation"):
        if column not in history:
            found = ", ".join(history.columns) or "none"
            raise BenchmarkError(f"{place}: column '{column}' is missing (columns: {found})")
    refuse_unbounded(history["epoch"], f"{place}, column 'epoch',")
    if (history["epoch"] < 0).any():
        raise BenchmarkError(f"{place}, column 'epoch', holds values below 0")
    return history[["epoch", "train", "validation"]]


def checked_latents(values: Any, n_cells: int, place: str) -> np.ndarray:
    """Check latents, cells × latents."""
    latents = array_of_numbers(values, place)
    if latents.ndim != 2 or latents.shape[0] != n_cells or latents.shape[1] == 0:
        raise BenchmarkError(
            f"{place} has shape {latents.shape}, not cells × latents ({n_cells} × 1 or more)"
        )
    refuse_unbounded(latents, place)
    return np.ascontiguousarray(latents, dtype=np.float32)


def checked_modes(values: Any, latents: np.ndarray | None, place: str) -> np.ndarray:
    """Check the modes of posteriors, which are of the shape of the latents."""
    if latents is None:
        raise BenchmarkError(f"{place} are modes of latents, but there are no latents")
    modes = checked_latents(values, len(latents), place)
    if modes.shape != latents.shape:
        raise BenchmarkError(f"{place} has shape {modes.shape}, but the latents have {latents.shape}")
    return modes


def checked_by_latent(table: Any, place: str, n_latents: int) -> pd.DataFrame:
    """Check a table of perturbation × latent."""
    values = table_of_numbers(table, place, "perturbation × latent")
    if values.shape[1] != n_latents:
        latents = f"{n_latents} latents" if n_latents else "a fit without latents"
        raise BenchmarkError(f"{place} has {values.shape[1]} columns for {latents}")
    values = values.set_axis(values.index.astype(str), axis=0)
    refuse_repeated(values.index, "perturbation", place)
    refuse_unbounded(values, place)
    return values


def checked_scores(table: Any, place: str) -> pd.DataFrame:
    """Check likelihoods and other scores, cell × score."""
    scores = table_of_numbers(table, place, "cell × score")
    for column in scores:
        if pd.api.types.is_bool_dtype(table[column]):
            raise BenchmarkError(f'{place}["{column}"] holds yes and no, not numbers')
    problem = impossible_scores(scores)
    if problem:
        raise BenchmarkError(f"{place.removesuffix('obs')}{problem}")
    return scores


def impossible_scores(scores: pd.DataFrame) -> str | None:
    """Say what no density of counts can give; None if the scores are possible.

    Parameters
    ----------
    scores
        Cells × some of :data:`CELL_COLUMNS`; NaN where a cell was not scored. Counts have probabilities, so
        neither their log-likelihood nor −E[log p(x | z)] of any cell has the sign of a probability above 1.
    """
    for column in scores.columns:
        values = scores[column].dropna()
        if np.isinf(values).any():
            return f'obs["{column}"] holds infinite values'
        if column in NEVER_ABOVE_0 and values.gt(ROUNDING).any():
            return f'obs["{column}"] is up to {values.max():.3g} nats: above 0, a probability above 1'
        if column == "reconstruction" and values.lt(-ROUNDING).any():
            return f'obs["{column}"] is down to {values.min():.3g} nats: below 0, a probability above 1'
        if column == "effective_samples" and values.lt(1 - ROUNDING).any():
            return f'obs["{column}"] is down to {values.min():.3g}, but at least one sample is effective'
    return None


def checked_predictions(tables: Any, place: str, genes: pd.Index | None = None) -> dict[Basis, pd.DataFrame]:
    """Check predicted profiles by what they were allowed to see.

    Parameters
    ----------
    tables
        Perturbation × gene for each basis, log1p of expected counts.
    place
        File and key, as the sentence begins.
    genes
        Genes of the dataset in its order, where known.

    Raises
    ------
    BenchmarkError
        If a basis is unknown, a table is empty, repeats a name or holds what is no profile, or the tables
        have other genes than each other, or than the dataset.
    """
    refuse_unknown_names(tables, "basis", BASES, place)
    found = {basis: _profiles(tables[basis], f'{place}["{basis}"]') for basis in BASES if basis in tables}
    for basis, table in found.items():
        genes = table.columns if genes is None else pd.Index(genes)
        _refuse_other_genes(table.columns, genes, f'{place}["{basis}"]')
    return found


def checked_differential(tables: Any, place: str, genes: pd.Index | None = None) -> dict[str, pd.DataFrame]:
    """Check which genes perturbations move: how probably, and by how much.

    Parameters
    ----------
    tables
        Perturbation × gene for each of :data:`CHANGES`.
    place
        File and key, as the sentence begins.
    genes
        Genes of the dataset in its order, where known.

    Raises
    ------
    BenchmarkError
        If a table is missing, unknown, empty, repeats a name or holds what is no probability, or the tables
        have other perturbations or genes than each other, or other genes than the dataset.
    """
    refuse_unknown_names(tables, "table", CHANGES, place)
    for name in CHANGES:
        if name not in tables:
            raise BenchmarkError(f'{place}["{name}"] is missing')
    found = {name: _by_gene(tables[name], f'{place}["{name}"]') for name in CHANGES}
    probability, change = (found[name] for name in CHANGES)
    for name, table in found.items():
        expected = probability.columns if genes is None else pd.Index(genes)
        _refuse_other_genes(table.columns, expected, f'{place}["{name}"]')
    if not change.index.equals(probability.index):
        raise BenchmarkError(f"{place}: the tables name different perturbations")
    if not probability.stack().between(0, 1).all():
        raise BenchmarkError(f'{place}["probability"] holds values outside [0, 1]')
    return found


def checked_latent_genes(
    tables: Any, place: str, n_latents: int, genes: pd.Index | None = None
) -> dict[str, pd.DataFrame]:
    """Check which genes latents move, as :func:`checked_differential` does; one row per latent, in order."""
    found = checked_differential(tables, place, genes)
    n_rows = len(found["probability"])
    if n_rows != n_latents:
        raise BenchmarkError(f"{place} has {n_rows} rows, not one for each of {n_latents} latents")
    return found


def refuse_unknown_names(group: Any, what: str, known: Sequence[str], place: str) -> None:
    """Raise if a `group`, at this `place`, is none or holds anything that is not `known`."""
    for name in mapping(group, place):
        if name not in known:
            raise unknown(what, name, known, place)


def _profiles(table: Any, place: str) -> pd.DataFrame:
    """Check one table of profiles, perturbation × gene."""
    values = _by_gene(table, place)
    if (values < 0).any(axis=None):
        raise BenchmarkError(f"{place} holds values below 0, but a profile is log(1 + x) of expected counts")
    return values


def _by_gene(table: Any, place: str) -> pd.DataFrame:
    """Check one table of perturbation × gene."""
    values = table_of_numbers(table, place, "perturbation × gene")
    values = values.set_axis(values.index.astype(str), axis=0)
    refuse_repeated(values.index, "perturbation", place)
    if values.empty:
        raise BenchmarkError(f"{place} is empty ({len(values)} perturbations × {values.shape[1]} genes)")
    refuse_unbounded(values, place)
    return values.astype(float)


def _refuse_other_genes(found: pd.Index, genes: pd.Index, place: str) -> None:
    if found.equals(genes):
        return
    if len(found) != len(genes):
        raise BenchmarkError(f"{place} has {len(found)} genes, not the {len(genes)} of the dataset")
    strange = found.difference(genes, sort=False)
    if len(strange):
        raise BenchmarkError(f"{place}: gene '{one_line(str(strange[0]))}' is not one of the dataset")
    raise BenchmarkError(f"{place}: the genes are not in the order of the dataset")
