"""Scores of predicted profiles: one function each, registered as metrics for every basis and on two scales.

A score of a fit on its own scale says little: the mean of all trained perturbations may do as well, and what
can be reached depends on the noise of the data. The calibrated scale is 0 for the mean response and 1 for the
technical duplicate, which predicts one half of the cells of a perturbation by the other half. Both are scored
by the same function. A score that does not tell the two apart on a dataset is no evidence there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from svae.contracts.fit_parts import BASES
from svae.evaluation.metric import Direction, metric
from svae.evaluation.statistics import t_interval

if TYPE_CHECKING:
    from svae.evaluation.comparison import Comparison
    from svae.evaluation.response import Response
    from svae.words import Basis

NEGLIGIBLE = 1e-5
"""A smaller difference of profiles is rounding, and counts as none."""

CALIBRATED = "_calibrated"
"""Ends the names of metrics on the calibrated scale."""

MARGIN = 0.05
"""Of calibrated values: one twentieth of the way from the mean response to the duplicate."""

BASIS_LABELS: Mapping[Basis, str] = {
    "zero_shot": "zero-shot",
    "adapted": "adapted",
    "combination": "from parts",
}

CITATION_OF_SCALE = "Mejia et al. 2025"


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted profiles beside what really happened.

    Attributes
    ----------
    profiles
        Held-out perturbation × gene, log1p of expected counts.
    response
        Of the same genes, and of these perturbations among others.
    cells
        Generated cells in the space of the response, cell × component, indexed by perturbation; None if there
        are none.
    """

    profiles: pd.DataFrame
    response: Response
    cells: pd.DataFrame | None = None

    @property
    def perturbations(self) -> pd.Index:
        """The predicted perturbations."""
        return self.profiles.index

    @cached_property
    def predicted(self) -> np.ndarray:
        """Predicted profiles, n × genes."""
        return self.profiles.to_numpy(dtype=float)

    @cached_property
    def actual(self) -> np.ndarray:
        """Profiles of the cells of part ``test``, n × genes."""
        return self.response.test.loc[self.perturbations].to_numpy()

    def differences(self, origin: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and actual profiles less one profile, n × genes each."""
        start = origin.to_numpy()
        predicted, actual = self.predicted - start, self.actual - start
        return np.where(np.abs(predicted) < NEGLIGIBLE, 0.0, predicted), actual

    @cached_property
    def from_control(self) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and actual deltas, from the real control, n × genes each."""
        return self.differences(self.response.control)

    @cached_property
    def from_mean(self) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and actual differences to the mean response, n × genes each."""
        return self.differences(self.response.mean)

    @property
    def duplicates_elsewhere(self) -> list[Prediction]:
        """Technical duplicates of the perturbations that the other folds of the split hold out."""
        folds = (self.response, *self.response.other_folds)
        responses = [
            replace(fold, other_folds=tuple(other for other in folds if other is not fold))
            for fold in self.response.other_folds
        ]
        return [technical_duplicate(Prediction(fold.test, fold)) for fold in responses]

    @cached_property
    def actual_elsewhere(self) -> pd.DataFrame:
        """Actual deltas of the perturbations that the other folds hold out, perturbation × gene."""
        deltas = [fold.test - fold.control for fold in self.response.other_folds]
        return pd.concat(deltas) if deltas else self.profiles.iloc[:0]

    @cached_property
    def differential(self) -> np.ndarray:
        """Whether a gene really differs from the control, n × genes."""
        from svae.differential import FDR  # here, because reports import this module

        return (self.response.p_adjusted.loc[self.perturbations] < FDR).to_numpy()

    @cached_property
    def weights(self) -> np.ndarray:
        """How much each gene tells of a perturbation, n × genes; each row sums to 1."""
        weights = self.response.weights.loc[self.perturbations].to_numpy()
        return weights / weights.sum(axis=1, keepdims=True)


Score = Callable[[Prediction], np.ndarray]
"""Returns one value per perturbation; NaN where the score is undefined."""


def mean_response(prediction: Prediction) -> Prediction:
    """Predict every one of the same perturbations by the mean response, cells by those it is the mean of."""
    profiles = np.tile(prediction.response.mean.to_numpy(), (len(prediction.perturbations), 1))
    table = pd.DataFrame(profiles, prediction.perturbations, prediction.profiles.columns)
    return Prediction(table, prediction.response, prediction.response.space.mean)


def technical_duplicate(prediction: Prediction) -> Prediction:
    """Predict each of the same perturbations by its cells of part ``adapt``."""
    response = prediction.response
    return Prediction(response.adapt.loc[prediction.perturbations], response, response.space.adapt)


def calibrated(score: Score, prediction: Prediction, direction: Direction) -> np.ndarray:
    """Put a score on the scale 0 = mean response, 1 = technical duplicate.

    (u − b) / (r̄ − b̄), with the score u of the prediction and b of the mean response for each perturbation,
    and the means b̄ of the mean response and r̄ of the duplicate over the perturbations, also over those that
    other folds of the split hold out. Single ones may be too noisy to divide by; and the mean of these values
    is the calibrated mean.

    Parameters
    ----------
    score
        What to calibrate.
    prediction
        What is scored.
    direction
        Whether ``higher`` or ``lower`` scores are better.

    Returns
    -------
    One value per perturbation. All are NaN if the score is no evidence, that is, unless the 95 % interval
    of the paired differences of duplicate and mean response says that the duplicate is better.
    """
    worst = score(mean_response(prediction))
    duplicates = [technical_duplicate(prediction), *prediction.duplicates_elsewhere]
    gain = np.concatenate([score(best) - score(mean_response(best)) for best in duplicates])
    low, high = t_interval(gain)
    separate = low > 0 if direction == "higher" else high < 0
    if not separate:
        return np.full(len(worst), np.nan)
    return (score(prediction) - worst) / np.nanmean(gain)


def prediction_score(
    *,
    label: str,
    direction: Direction = "higher",
    low: float = float("nan"),
    high: float = float("nan"),
    needs: tuple[str, ...] = (),
    generated: bool = False,
    headline: bool = False,
    decimals: int = 3,
    citation: str = "",
) -> Callable[[Score], Score]:
    """Make a score a metric for each basis of predictions, on its own and on the calibrated scale.

    The metric of the score ``f`` on basis ``adapted`` is called ``f_adapted``, on the calibrated scale
    ``f_adapted_calibrated``. Its value is the mean over the predicted perturbations.

    Parameters
    ----------
    label, direction, low, high, decimals, citation
        As in :func:`svae.evaluation.metric.metric`; the range is that of the score's own scale.
    needs
        What the score takes beside the prediction and the response: ``control``, if anything.
    generated
        Whether the score is of generated cells.
    headline
        Whether the first page shows its calibrated values.
    """

    def register(score: Score) -> Score:
        for basis in BASES:
            own, calibrated_values = _values(score, basis), _calibrated_values(score, basis, direction)
            described = partial(
                metric,
                question="prediction",
                needs=(f"{'generated' if generated else 'prediction'}_{basis}", "response", *needs),
                decimals=decimals,
            )
            name, named = f"{score.__name__}_{basis}", f"{label}, {BASIS_LABELS[basis]}"
            described(
                name=name,
                label=named,
                direction=direction,
                low=low,
                high=high,
                citation=citation,
                of_each=own,
            )(_mean_of(own, score.__doc__))
            described(
                name=f"{name}{CALIBRATED}",
                label=f"{named}, calibrated",
                direction="higher",
                headline=headline,
                margin=MARGIN,
                citation=citation or CITATION_OF_SCALE,
                of_each=calibrated_values,
            )(
                _mean_of(
                    calibrated_values, f"{named}: 0 for the mean response, 1 for the technical duplicate."
                )
            )
        return score

    return register


def _prediction_on(basis: Basis) -> Callable[[Comparison], Prediction]:
    def prediction(comparison: Comparison) -> Prediction:
        response = comparison.response
        assert response is not None  # promised by the needs of the metrics
        if basis == "combination":  # which combinations other folds predict is not known here
            response = replace(response, other_folds=())
        return Prediction(comparison.prediction(basis), response, comparison.generated_cells(basis))

    return prediction


ON: Mapping[Basis, Callable[[Comparison], Prediction]] = {basis: _prediction_on(basis) for basis in BASES}
"""Functions of a comparison that return its prediction on a basis."""


def _values(score: Score, basis: Basis) -> Callable[[Comparison], pd.Series]:
    def values(comparison: Comparison) -> pd.Series:
        prediction = comparison.shared(ON[basis])
        return pd.Series(score(prediction), prediction.perturbations)

    return values


def _calibrated_values(score: Score, basis: Basis, direction: Direction) -> Callable[[Comparison], pd.Series]:
    def values(comparison: Comparison) -> pd.Series:
        prediction = comparison.shared(ON[basis])
        return pd.Series(calibrated(score, prediction, direction), prediction.perturbations)

    return values


def _mean_of(values: Callable[[Comparison], pd.Series], meaning: str | None) -> Callable[[Comparison], float]:
    def mean(comparison: Comparison) -> float:
        return float(values(comparison).mean())

    mean.__doc__ = meaning
    return mean
