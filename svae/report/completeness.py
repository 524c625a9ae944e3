"""Completeness of a run: how many of the planned fits there are, and why each of the others is lost."""

from pathlib import Path

import pandas as pd

from svae.report.values import FACET
from svae.words import ENDED_WELL

METHOD = [*FACET, "method"]
COMPLETENESS_COLUMNS = (*METHOD, "status", "fits", "planned", "replicates", "message", "log")


def completeness(status: pd.DataFrame, log: str) -> pd.DataFrame:
    """Count the fits of each method by how they ended; what was lost comes first.

    Parameters
    ----------
    status
        The table of statuses, one row per planned fit.
    log
        Path of the log of a job, with the names of :class:`svae.contracts.job.Job` in braces.

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
        replicate=("replicate", "first"),
    ).reset_index()
    logs = [log.format(**row) for row in table[[*METHOD, "replicate"]].to_dict("records")]
    table["log"] = [path if Path(path).is_file() else "" for path in logs]
    ended_well = table["status"].isin(ENDED_WELL)
    return pd.concat([table[~ended_well], table[ended_well]], ignore_index=True)[list(COMPLETENESS_COLUMNS)]


def _listed(replicates: pd.Series) -> str:
    """List each replicate once."""
    return ", ".join(str(replicate) for replicate in replicates.unique())
