"""Completeness of a run: how many of the planned fits there are, and why each of the others is lost."""

from pathlib import Path

import pandas as pd

from svae.report.values import FACET
from svae.words import ENDED_WELL

METHOD = [*FACET, "method"]
COMPLETENESS_COLUMNS = (*METHOD, "status", "fits", "planned", "replicates", "message", "log")


def completeness(status: pd.DataFrame, fits: str, logs: str) -> pd.DataFrame:
    """Count the fits of each method by how they ended; what was lost comes first.

    Parameters
    ----------
    status
        The table of statuses, one row per planned fit.
    fits, logs
        Folders of fits and of logs: the log of a job has the name of the folder that its fits are in.

    Returns
    -------
    One row per dataset, split, method, status and message, so that a method of which nothing is lost has
    one: ``fits`` of the ``planned`` ones ended so, in these ``replicates``; ``log`` is that of the first of
    them, and empty if the job left none.
    """
    told = status.assign(message=status["message"].fillna(""))
    planned = told.groupby(METHOD, sort=False)["status"].transform("size")
    groups = told.assign(planned=planned).groupby([*METHOD, "status", "message"], sort=False)
    table = groups.agg(
        fits=("planned", "size"),
        planned=("planned", "first"),
        replicates=("replicate", _listed),
        fit=("fit", "first"),
    ).reset_index()
    paths = [Path(logs, f"{Path(fit).parent.relative_to(fits)}.log") for fit in table["fit"]]
    table["log"] = [str(path) if path.is_file() else "" for path in paths]
    ended_well = table["status"].isin(ENDED_WELL)
    return pd.concat([table[~ended_well], table[ended_well]], ignore_index=True)[list(COMPLETENESS_COLUMNS)]


def _listed(replicates: pd.Series) -> str:
    """List each replicate once."""
    return ", ".join(str(replicate) for replicate in replicates.unique())
