"""How well the restarts of a setting agree: what the selection rule `udr` looks at."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from svae.contracts.cells import locate_cells
from svae.contracts.fit import Fit
from svae.contracts.split import cells_of, trained_perturbations
from svae.evaluation.matching import match_latents
from svae.targets import THRESHOLD


def agreement_of_restarts(restarts: Mapping[str, Fit], split: pd.DataFrame) -> dict[str, float]:
    """How well each of some restarts agrees with the others, by :func:`udr`.

    Parameters
    ----------
    restarts
        Fits that differ in their random start alone, by setting; those that failed, or have no latents,
        are left out.
    split
        Latents are compared on its validation cells, targets on all perturbations that are not held out.

    Returns
    -------
    By setting; empty if there are fewer than two fits, or validation cells, to compare.
    """
    ok = {name: fit for name, fit in restarts.items() if fit.run.status == "ok" and fit.latents is not None}
    validation, trained = cells_of(split, "validation").index, trained_perturbations(split)
    if len(ok) < 2 or len(validation) < 2:
        return {}
    latents, targets = [], []
    for fit in ok.values():
        assert fit.latents is not None  # fits without any were left out
        latents.append(fit.latents[locate_cells(validation, fit.cells, "the fit")])
        if fit.targets is not None:
            targets.append((fit.targets.reindex(trained) > THRESHOLD).to_numpy())
    all_name_targets = len(targets) == len(ok)
    return dict(zip(ok, udr(latents, targets if all_name_targets else None).tolist(), strict=True))


def udr(latents: Sequence[np.ndarray], targets: Sequence[np.ndarray] | None = None) -> np.ndarray:
    """Score restarts by how well each agrees with the others: unsupervised disentanglement ranking.

    Models that found the true latents agree up to order and sign; those that did not, went wrong
    each in its own way (Duan et al. 2020, who also weight latents by their informativeness). Where a
    method names targets, restarts have to agree on those as well: too weak a penalty leaves needless
    targets, which differ from start to start though the latents are the same.

    Parameters
    ----------
    latents
        One cells × q array per restart, on the same cells.
    targets
        One boolean perturbations × q array per restart, of the same perturbations.

    Returns
    -------
    Per restart, in [0, 1]: how well at least half of the others agree with it (their upper median, so
    that one bad start in three does not spoil the score of the two good ones). The agreement of two
    restarts is the mean |correlation| of their latents, matched one to one; with targets, the mean of
    that and of the F1 score of the one's targets against the other's. NaN if there is only one restart.
    """
    count = len(latents)
    if count < 2:
        return np.full(count, np.nan)
    agreement = np.full((count, count), np.nan)  # the diagonal stays NaN
    for i, j in combinations(range(count), 2):
        similarity, rows, columns = match_latents(latents[i], latents[j])
        scores = [similarity[rows, columns].mean()]
        if targets is not None:
            scores.append(_f1(targets[i][:, rows], targets[j][:, columns]))
        agreement[i, j] = agreement[j, i] = np.mean(scores)
    return np.nanquantile(agreement, 0.5, axis=1, method="higher")


def _f1(first: np.ndarray, second: np.ndarray) -> float:
    """2 |A ∩ B| / (|A| + |B|) of two boolean arrays, which is symmetric; 0 if both are empty."""
    return 2 * np.sum(first & second) / max(1, np.sum(first) + np.sum(second))
