"""Which setting of a method is shown, chosen once per (dataset, split, replicate, method).

========================= ===========================================================================
``fixed``                 the setting that the scope names for the method, or the first of its grid
``validation_likelihood`` the highest likelihood of validation cells
``udr``                   the highest agreement between restarts, see :func:`udr`
``hindsight``             the best true metric: no one without the truth can use it, it bounds the others
========================= ===========================================================================
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from svae.errors import unknown
from svae.evaluation.metrics.latents import match_latents

HINDSIGHT = "hindsight"
SCORES = ("validation_likelihood", "udr")  # label-free, higher is better
RULES = ("fixed", *SCORES, HINDSIGHT)

RUN = ["dataset", "split", "replicate", "method"]


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
    agreement = np.full((count, count), np.nan)  # the diagonal stays NaN
    for i, j in combinations(range(count), 2):
        similarity, rows, columns = match_latents(latents[i], latents[j])
        scores = [similarity[rows, columns].mean()]
        if targets is not None:
            scores.append(_f1(targets[i][:, rows], targets[j][:, columns]))
        agreement[i, j] = agreement[j, i] = np.mean(scores)
    if count < 2:
        return np.full(count, np.nan)
    return np.nanquantile(agreement, 0.5, axis=1, method="higher")


def _f1(first: np.ndarray, second: np.ndarray) -> float:
    """2 |A ∩ B| / (|A| + |B|) of two boolean arrays, which is symmetric; 0 if both are empty."""
    return 2 * np.sum(first & second) / max(1, np.sum(first) + np.sum(second))


def select(
    scores: pd.DataFrame,
    rules: Iterable[str],
    fixed: Mapping[str, str] | None = None,
    metrics: pd.DataFrame | None = None,
    hindsight_metric: str = "mcc_pearson",
    hindsight_direction: str = "higher",
) -> pd.DataFrame:
    """Choose a setting for each rule and each (dataset, split, replicate, method).

    Parameters
    ----------
    scores
        One row per fit, the settings of a method in the order of its grid: ``dataset``, ``split``,
        ``replicate``, ``method``, ``setting``, ``status``, and the label-free scores that the fits
        carry (``validation_likelihood``, ``udr``); higher is better.
    rules
        Any of ``fixed``, ``validation_likelihood``, ``udr``, ``hindsight``.
    fixed
        The setting per method that ``fixed`` takes; the first of its grid for a method not named.
    metrics
        Tidy table with ``dataset``, ``split``, ``replicate``, ``method``, ``setting``, ``metric``,
        ``value``; read by the rule ``hindsight`` alone.
    hindsight_metric, hindsight_direction
        The metric that ``hindsight`` looks at, and whether ``higher`` or ``lower`` is better.

    Returns
    -------
    Columns ``dataset``, ``split``, ``replicate``, ``method``, ``rule``, ``setting``; one row per run and
    rule. Only settings whose status is ``ok`` are chosen, the first of equals; the only setting of a
    grid is chosen by every rule. ``setting`` is NaN where there is no choice: nothing is ok, or there are
    several settings and none has the score.

    Raises
    ------
    BenchmarkError
        For an unknown rule, or a fixed setting that is not in the method's grid.
    """
    rules, fixed = list(rules), fixed or {}
    for rule in rules:
        if rule not in RULES:
            raise unknown("rule", rule, RULES, "selection")
    if HINDSIGHT in rules:
        scores = _with_truth(scores, metrics, hindsight_metric, hindsight_direction)
    rows = [
        (*run, rule, _choose(settings, rule, fixed.get(run[-1])))
        for run, settings in scores.groupby(RUN, sort=False, observed=True)
        for rule in rules
    ]
    return pd.DataFrame(rows, columns=[*RUN, "rule", "setting"])


def _choose(settings: pd.DataFrame, rule: str, fixed: str | None) -> object:
    """Return the setting that `rule` takes among those of one run, or NaN."""
    ok = settings[settings["status"] == "ok"]
    if rule == "fixed":
        wanted = settings["setting"].iloc[0] if fixed is None else fixed
        if wanted not in set(settings["setting"]):
            method = settings["method"].iloc[0]
            raise unknown("setting", wanted, settings["setting"], f"selection: fixed: {method}")
        return wanted if wanted in set(ok["setting"]) else np.nan
    if len(settings) == 1:
        return ok["setting"].iloc[0] if len(ok) else np.nan
    score = ok[rule].dropna() if rule in ok else pd.Series(dtype=float)
    # argmax: the position, not the index label, of the first maximum
    return ok.loc[score.index[score.argmax()], "setting"] if len(score) else np.nan


def _with_truth(
    scores: pd.DataFrame, metrics: pd.DataFrame | None, metric: str, direction: str
) -> pd.DataFrame:
    """Add a column ``hindsight``, higher is better, to `scores`."""
    if metrics is None:
        return scores
    known = metrics[metrics["metric"] == metric].rename(columns={"value": HINDSIGHT})
    known = known[[*RUN, "setting", HINDSIGHT]]
    if direction == "lower":
        known = known.assign(**{HINDSIGHT: -known[HINDSIGHT]})
    return scores.merge(known, on=[*RUN, "setting"], how="left", validate="one_to_one")
