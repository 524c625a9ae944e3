"""What the cells of held-out perturbations really do, which all predictions of them are compared with.

It is computed once for a dataset and split, from the cells of part ``test``. Those of part ``adapt`` are the
same experiment done again: no prediction has to be better than what they say of the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.pathways import MEMBERSHIP_COLUMNS, pathways_of
from svae.contracts.split import cells_of, seen_cells, trained_cells
from svae.differential import Moments, adjusted, welch_p
from svae.errors import BenchmarkError
from svae.evaluation.screen import Screen, effect_sizes
from svae.evaluation.space import CELLS, Space
from svae.expression import COUNT_STATISTICS, count_statistics, profiles_of
from svae.files import read_anndata, write_anndata
from svae.words import CONTROL

LAYERS = ("test", "adapt", "p_adjusted", "weights")


@dataclass(frozen=True, eq=False)
class Response:
    """Profiles of held-out perturbations, and which genes respond to them.

    A profile is log1p(:data:`svae.expression.TARGET_SUM` · share of the gene in the counts of all cells).

    Attributes
    ----------
    control
        Profile of the unperturbed cells, one value per gene; NaN if the dataset has none.
    mean
        Mean response: mean of the profiles of the trained perturbations, control not among them.
    test, adapt
        Profiles of the halves of each held-out perturbation, perturbation × gene.
    p_adjusted
        Of a Welch test of the log-normalised cells of part ``test`` against the control, perturbation × gene,
        adjusted within each perturbation (Benjamini & Hochberg 1995); NaN without a control.
    weights
        How much a gene tells of a perturbation, perturbation × gene: the square of |t| scaled to [0, 1],
        where t compares the cells of part ``test`` with all cells of other labels, the control's too.
    cells
        Number of cells of each held-out perturbation, perturbation × (``test``, ``adapt``).
    space
        Principal components, and single cells in them.
    counts
        Of the counts of each gene in the cells of part ``test``, perturbation × gene: each of
        :data:`svae.expression.COUNT_STATISTICS`.
    aims
        What each guide aims at, the control's label if at nothing, indexed by guide; empty if the
        perturbations are no guides.
    pathways
        Which gene sets hold a perturbed gene, one row for each pair: ``perturbation``, ``gene_set``.
    screen
        What every perturbation does, trained ones too.
    other_folds
        Responses of the other folds of the split, where it has any: what is said of all held-out
        perturbations, such as how far a technical duplicate is from the mean response, rests on these, too.
    """

    control: pd.Series
    mean: pd.Series
    test: pd.DataFrame
    adapt: pd.DataFrame
    p_adjusted: pd.DataFrame
    weights: pd.DataFrame
    cells: pd.DataFrame
    space: Space
    counts: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    aims: pd.Series = field(default_factory=partial(pd.Series, dtype=object))
    pathways: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=MEMBERSHIP_COLUMNS))
    screen: Screen = field(default_factory=Screen)
    other_folds: tuple["Response", ...] = ()

    @property
    def genes(self) -> pd.Index:
        """The genes of the dataset, in its order."""
        return self.test.columns

    @property
    def effects(self) -> pd.Series:
        """Effect size of each held-out perturbation (:func:`svae.evaluation.screen.effect_sizes`)."""
        return effect_sizes(self.test, self.adapt, self.control)

    @property
    def has_control(self) -> bool:
        """Whether the dataset has unperturbed cells."""
        return bool(self.control.notna().all())


def summarise_responses(
    dataset: ad.AnnData, split: pd.DataFrame, gene_sets: Mapping[str, Sequence[str]] | None = None
) -> Response:
    """Summarise what the cells of each held-out perturbation do.

    Parameters
    ----------
    dataset
        Raw counts of all cells, cells × genes.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    gene_sets
        Genes of each set, such as a pathway; large ones are passed over
        (:func:`svae.contracts.pathways.pathways_of`).

    Raises
    ------
    BenchmarkError
        If the sets hold neither a gene nor a perturbation of the dataset.
    """
    gene_sets = gene_sets or {}
    _refuse_other_names(gene_sets, dataset)
    test, adapt, seen = cells_of(split, "test"), cells_of(split, "adapt"), seen_cells(split)
    labels = pd.concat([seen, adapt, test])
    of_tests, held_out = Moments.of(dataset, test)
    of_all, names = Moments.of(dataset, labels)
    is_control = names == CONTROL
    control, p = np.full(dataset.n_vars, np.nan), np.full((len(held_out), dataset.n_vars), np.nan)
    if is_control.any():
        control = profiles_of(dataset, labels[labels == CONTROL]).loc[CONTROL].to_numpy()
        p = adjusted(welch_p(of_tests, of_all[is_control]))
    weights = _weights(of_tests, of_all.others(names.isin(held_out)))
    of_control, aims = pd.Series(control, dataset.var_names), _aims(dataset)
    return Response(
        control=of_control,
        mean=profiles_of(dataset, trained_cells(split)).mean(),
        test=profiles_of(dataset, test),
        adapt=profiles_of(dataset, adapt),
        p_adjusted=pd.DataFrame(p, held_out, dataset.var_names),
        weights=pd.DataFrame(weights, held_out, dataset.var_names),
        cells=pd.DataFrame({"test": test.value_counts(), "adapt": adapt.value_counts()}).loc[held_out],
        space=Space.of(dataset, split),
        counts=count_statistics(
            dataset.X[dataset.obs_names.get_indexer(test.index)], test, dataset.var_names
        ),
        aims=aims,
        pathways=pathways_of(labels.unique(), gene_sets),
        screen=Screen.of(dataset, split, (of_all, names), of_control, aims),
    )


def _aims(dataset: ad.AnnData) -> pd.Series:
    """Return the target of each perturbation of a dataset that is labelled by guides."""
    if "target" not in dataset.obs:
        return pd.Series(dtype=object)
    named = dataset.obs[["perturbation", "target"]].astype(str).drop_duplicates()
    return named.set_index("perturbation")["target"].drop(CONTROL, errors="ignore")


def _refuse_other_names(gene_sets: Mapping[str, Sequence[str]], dataset: ad.AnnData) -> None:
    """Refuse gene sets that hold neither a gene nor a perturbation of the dataset."""
    members = {gene for genes in gene_sets.values() for gene in genes}
    if members and members.isdisjoint({*dataset.var_names, *dataset.obs["perturbation"]}):
        raise BenchmarkError(
            f"gene_sets: no gene of the sets (such as '{min(members)}') is one of the dataset (such as "
            f"'{dataset.var_names[0]}'); the key 'gene_column' says which names its genes have"
        )


def _weights(few: Moments, others: Moments) -> np.ndarray:
    """Weights of Mejia et al. (2025), groups × genes: w = (|t| scaled to [0, 1] over the genes)².

    This t overestimates the error of the mean of the other cells: it divides by the number of the few.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.abs(few.mean - others.mean) / np.sqrt((few.variance + others.variance) / few.n)
        size = np.nan_to_num(size, nan=0.0, posinf=0.0)
        low, high = size.min(axis=1, keepdims=True), size.max(axis=1, keepdims=True)
        return np.where(high > low, (size - low) / (high - low), 1.0) ** 2


def write_response(response: Response, path: str | Path) -> None:
    """Write `response` to `path` in one piece: perturbations × genes, the tables as layers.

    Single cells are in ``uns["cells"]``, and the axes of their space in ``varm["axes"]``.
    """
    adata = ad.AnnData(obs=response.cells, var=pd.DataFrame(index=response.genes))
    adata.var["control"], adata.var["mean"] = response.control, response.mean
    for layer in LAYERS:
        adata.layers[layer] = getattr(response, layer).to_numpy()
    for name, table in response.counts.items():
        adata.layers[f"count_{name}"] = table.to_numpy()
    adata.var["centre"], adata.varm["axes"] = response.space.centre, response.space.axes
    adata.uns["aims"] = response.aims.astype(str).to_frame("target").rename_axis("guide")
    adata.uns["pathways"] = response.pathways
    adata.uns["screen"] = {
        "summary": response.screen.summary,
        "differential": response.screen.differential.to_numpy(),
    }
    adata.uns["cells"] = {name: getattr(response.space, name) for name in CELLS}
    write_anndata(adata, path)


def read_response(path: str | Path) -> Response:
    """Read what :func:`write_response` wrote.

    Raises
    ------
    BenchmarkError
        If there is no such file, or it is of another kind.
    """
    adata = read_anndata(path)
    for layer in LAYERS:
        if layer not in adata.layers:
            raise BenchmarkError(f'{path}: layers["{layer}"] is missing, so this is no file of responses')
    screen = adata.uns["screen"]
    return Response(
        control=adata.var["control"],
        mean=adata.var["mean"],
        cells=adata.obs,
        aims=adata.uns["aims"]["target"],
        pathways=adata.uns["pathways"],
        screen=Screen(
            screen["summary"],
            pd.DataFrame(screen["differential"], screen["summary"].index, adata.var_names),
        ),
        space=Space(centre=adata.var["centre"], axes=adata.varm["axes"], **adata.uns["cells"]),
        counts={name: adata.to_df(layer=f"count_{name}") for name in COUNT_STATISTICS},
        **{name: adata.to_df(layer=name) for name in LAYERS},
    )
