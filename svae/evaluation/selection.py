"""Selection rules: which setting of a method is shown, chosen once per (dataset, split, replicate, method).

A function that is decorated with :func:`rule` is a rule. It is handed the candidates of one run, and returns
the setting that it takes, or None if it has nothing to choose by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from svae.contracts.tables import RUN_COLUMNS, SELECTED_COLUMNS
from svae.errors import BenchmarkError, unknown
from svae.evaluation.metrics import choose_metrics
from svae.words import Outcome


@dataclass(frozen=True)
class Candidates:
    """The settings of one run that ended well.

    Attributes
    ----------
    fits
        Their rows of the table of statuses, indexed by setting, in the order of the grid.
    fixed
        The setting that the scope names for the method, or the first of its grid; None if that one did
        not end well.
    truth
        The metric that hindsight looks at, indexed by setting; higher is better. NaN where it is not known.
    """

    fits: pd.DataFrame
    fixed: str | None
    truth: pd.Series

    def score(self, name: str) -> pd.Series:
        """Return a label-free score of the fits, indexed by setting; NaN where a fit has none."""
        return self.fits[name] if name in self.fits else pd.Series(np.nan, self.fits.index)


Choose = Callable[[Candidates], str | None]
"""Returns the setting to take, or None if there is nothing to choose by."""


Need = Literal["validation cells", "restarts"]
"""What a selection rule may need of a scope, beside the truth."""


@dataclass(frozen=True)
class Rule:
    """A selection rule: its name, its function, and the description that :func:`rule` was given."""

    name: str
    choose: Choose
    label: str
    sentence: str
    sees_truth: bool
    needs: tuple[Need, ...]


RULES: dict[str, Rule] = {}
"""All selection rules by name, in the order of the report."""


def rule(
    *, label: str, sentence: str, sees_truth: bool = False, needs: tuple[Need, ...] = ()
) -> Callable[[Choose], Choose]:
    """Make a function of the candidates a selection rule, which is known by the function's name.

    Parameters
    ----------
    label
        What axes and legends call it.
    sentence
        What completes "the setting was chosen by …".
    sees_truth
        Whether it looks at the truth. Such a rule bounds the others; methods are not ranked by its choices.
    needs
        What has to be in a scope for the rule to have anything to choose by.

    Raises
    ------
    BenchmarkError
        If there is a rule of this name.
    """

    def register(choose: Choose) -> Choose:
        name = choose.__name__
        if name in RULES:
            raise BenchmarkError(f"rule '{name}': the name is taken, in {RULES[name].choose.__module__}")
        RULES[name] = Rule(name, choose, label, sentence, sees_truth, needs)
        return choose

    return register


class Choice(NamedTuple):
    """What a rule took for one run, and how it came to that; see :data:`svae.words.Outcome`."""

    setting: str | float
    outcome: Outcome


def select(
    status: pd.DataFrame,
    metrics: pd.DataFrame,
    rules: Iterable[str] | None = None,
    fixed: Mapping[str, str] | None = None,
    hindsight_metric: str = "mcc_pearson",
) -> pd.DataFrame:
    """Choose a setting for each rule and each (dataset, split, replicate, method).

    Parameters
    ----------
    status
        One row per fit, the settings of a method in the order of its grid: ``dataset``, ``split``,
        ``replicate``, ``method``, ``setting``, ``status``, and the label-free scores that the fits
        carry (``validation_likelihood``, ``udr``); higher is better.
    metrics
        ``dataset``, ``split``, ``replicate``, ``method``, ``setting``, ``metric``, ``value``; only
        rules that see the truth look at it.
    rules
        Names of :data:`RULES`; all of them by default.
    fixed
        The setting per method that the rule ``fixed`` takes; the first of its grid for a method not named.
    hindsight_metric
        The metric that the rule ``hindsight`` looks at.

    Returns
    -------
    Columns ``dataset``, ``split``, ``replicate``, ``method``, ``rule``, ``setting``, ``outcome``; one row per
    run and rule. Only settings whose status is ``ok`` are taken; the only setting of a grid is chosen by
    every rule. The outcome is ``fallback`` where a rule had nothing to choose by, and the setting is the
    one of the rule ``fixed``. Where there is no setting (NaN), the outcome is ``failed`` or
    ``not_applicable``; the latter also where the truth that a rule sees is not known: a bound that falls
    back would bound nothing.

    Raises
    ------
    BenchmarkError
        For an unknown rule or metric, or a fixed setting that is not in the method's grid.
    """
    rules = list(RULES if rules is None else rules)
    for name in rules:
        if name not in RULES:
            raise unknown("rule", name, RULES, "selection")
    truth = _scores_of_hindsight(metrics, hindsight_metric)
    rows = []
    for run, fits in status.groupby(list(RUN_COLUMNS), sort=False, observed=True):
        method = run[-1]
        settings = pd.Index(fits["setting"])
        wanted = (fixed or {}).get(method, settings[0])
        if wanted not in settings:
            raise unknown("setting", wanted, settings, f"selection: fixed: {method}")
        ok = fits[fits["status"] == "ok"].set_index("setting")
        candidates = Candidates(
            fits=ok,
            fixed=wanted if wanted in ok.index else None,
            truth=truth[run].reindex(ok.index) if run in truth else pd.Series(np.nan, ok.index),
        )
        for name in rules:
            choice = _choose(RULES[name], candidates, fits["status"])
            rows.append((*run, name, choice.setting, choice.outcome))
    return pd.DataFrame(rows, columns=list(SELECTED_COLUMNS))


def _choose(rule: Rule, candidates: Candidates, statuses: pd.Series) -> Choice:
    """Let `rule` choose among the candidates of one run, whose fits ended with `statuses`."""
    if candidates.fits.empty:
        return Choice(np.nan, "not_applicable" if (statuses == "not_applicable").all() else "failed")
    if len(statuses) == 1:
        return Choice(candidates.fits.index[0], "chosen")
    setting = rule.choose(candidates)
    if setting is not None:
        return Choice(setting, "chosen")
    if rule.sees_truth:
        return Choice(np.nan, "not_applicable")
    if candidates.fixed is None:
        return Choice(np.nan, "failed")
    return Choice(candidates.fixed, "fallback")


def in_order_of_choice(rule: Rule, status: pd.DataFrame) -> list[str]:
    """Return the settings of one run in the order in which a rule would take them, one after the other.

    Parameters
    ----------
    rule
        A rule that needs no truth.
    status
        The rows of the run in the table of statuses.

    Returns
    -------
    Settings whose status is ``ok``. Those after the last choice that the rule can make are left out; the only
    setting of a grid is chosen by every rule.
    """
    left = status[status["status"] == "ok"].set_index("setting")
    if len(status) == 1:
        return list(left.index)
    order: list[str] = []
    while len(left):
        setting = rule.choose(Candidates(left, None, pd.Series(np.nan, left.index)))
        if setting is None:
            break
        order.append(setting)
        left = left.drop(index=setting)
    return order


def _scores_of_hindsight(metrics: pd.DataFrame, name: str) -> dict[tuple, pd.Series]:
    """Values of a metric by run, indexed by setting, turned so that higher is better."""
    [metric] = choose_metrics([name], "selection: hindsight_metric")
    values = metrics[metrics["metric"] == name]
    sign = 1 if metric.direction == "higher" else -1
    return {
        run: sign * rows.set_index("setting")["value"]
        for run, rows in values.groupby(list(RUN_COLUMNS), sort=False, observed=True)
    }


def highest(scores: pd.Series) -> str | None:
    """Return the setting with the highest of `scores`, the first of equals; None if all are NaN."""
    known = scores.dropna()
    return None if known.empty else str(known.index[known.argmax()])


@rule(label="fixed setting", sentence="the fixed choice of the scope")
def fixed(candidates: Candidates) -> str | None:
    """Take the setting that the scope names for the method, or the first of its grid."""
    return candidates.fixed


@rule(
    label="validation likelihood",
    sentence="the likelihood of validation cells",
    needs=("validation cells",),
)
def validation_likelihood(candidates: Candidates) -> str | None:
    """Take the highest ELBO of validation cells, the bound of their likelihood that is trained on."""
    return highest(candidates.score("validation_likelihood"))


@rule(
    label="UDR",
    sentence="the agreement of restarts (UDR)",
    needs=("restarts", "validation cells"),
)
def udr(candidates: Candidates) -> str | None:
    """Take the highest agreement between restarts, :func:`svae.evaluation.restarts.udr`."""
    return highest(candidates.score("udr"))


@rule(label="hindsight rule", sentence="the hindsight rule (the truth)", sees_truth=True)
def hindsight(candidates: Candidates) -> str | None:
    """Take the best true metric: no one without the truth can do so, which bounds the other rules."""
    return highest(candidates.truth)


HINDSIGHT = hindsight.__name__
"""Name of the rule that bounds the others."""

FIXED = fixed.__name__
"""Name of the rule that looks at nothing."""
