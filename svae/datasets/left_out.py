"""What a preparation leaves out of a file: a line in the log at once, and a row of a table."""

import logging
from collections.abc import Sequence

import pandas as pd

from svae.contracts.dataset import LEFT_OUT_COLUMNS

logger = logging.getLogger(__name__)

EXAMPLES = 5
"""Names of what was left out that are shown; the rest is only counted."""


class LeftOut:
    """What was left out so far, in the order in which it was.

    Parameters
    ----------
    file
        Name of the file, for the log.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._rows: list[tuple[str, int, str, str]] = []

    def add(self, what: str, number: int, reason: str, names: Sequence[str] = ()) -> None:
        """Note that so many cells, genes or perturbations are left out; nothing, if the number is zero.

        Parameters
        ----------
        what
            What they are, in the plural.
        number
            How many.
        reason
            Words that follow `what` in a sentence, such as "without a label".
        names
            What they are called, or what the reason speaks of; the first few are shown.
        """
        if number == 0:
            return
        examples = ", ".join(names[:EXAMPLES]) + (", …" if len(names) > EXAMPLES else "")
        shown = f" ({examples})" if examples else ""
        logger.info("%s: left out %s %s %s%s", self.file, f"{number:,}", what, reason, shown)
        self._rows.append((what, number, reason, examples))

    def table(self) -> pd.DataFrame:
        """Return all of it: :data:`svae.contracts.dataset.LEFT_OUT_COLUMNS`."""
        return pd.DataFrame(self._rows, columns=list(LEFT_OUT_COLUMNS))
