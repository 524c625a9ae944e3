"""Which perturbations act alike: the directions in which they move the latents, and their angles."""

import numpy as np
import pandas as pd

from svae.evaluation.comparison import Comparison
from svae.words import CONTROL


def directions(comparison: Comparison, perturbations: pd.Index) -> pd.DataFrame:
    """What a fit says that each of some trained perturbations does to the latents, perturbation × latent.

    Its shifts, times the probabilities that they are there, if the fit tells any; else the probabilities;
    else the mean latents of its cells. Shifts and means are differences to those of the control, where it
    has any.
    """
    fit = comparison.fit
    if fit.shifts is not None:
        shifts = _from_control(fit.shifts).loc[perturbations]
        return shifts if fit.targets is None else shifts * fit.targets.loc[perturbations].to_numpy()
    if fit.targets is not None:
        return comparison.of_trained("targets").loc[perturbations]
    cells = pd.DataFrame(comparison.latents)
    means = cells.groupby(comparison.trained_cells.to_numpy()).mean()
    return _from_control(means).loc[perturbations]


def similarity(directions: pd.DataFrame) -> np.ndarray:
    """Cosine of the angle between the directions of each pair; 0 for a perturbation that does nothing.

    Parameters
    ----------
    directions
        Perturbation × latent.
    """
    table = directions.to_numpy(dtype=float)
    length = np.linalg.norm(table, axis=1, keepdims=True)
    unit = np.divide(table, length, out=np.zeros_like(table), where=length > 0)
    return (unit @ unit.T).round(12)  # equal directions are equally alike


def _from_control(table: pd.DataFrame) -> pd.DataFrame:
    """Take the row of the control off all rows, if there is one."""
    return table - table.loc[CONTROL] if CONTROL in table.index else table
