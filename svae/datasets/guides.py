"""Guides: which target each of them aims at."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from svae.contracts.tables import with_columns
from svae.datasets.preparation import Preparation
from svae.errors import BenchmarkError
from svae.files import read_table


@dataclass(frozen=True)
class Guides:
    """How guides are merged to targets: by a pattern or a table; without either, each is its own target."""

    pattern: str | None = None
    table: Mapping[str, str] | None = None
    source: str = ""
    """What the pattern or the table is, for messages."""

    @classmethod
    def of(cls, preparation: Preparation) -> "Guides":
        """Return what a preparation says of guides; reads its table."""
        if preparation.guide_table is not None:
            table = read_guide_table(preparation.guide_table)
            return cls(table=table, source=f"the guide_table {preparation.guide_table}")
        return cls(preparation.guide_pattern, source=f"the guide_pattern '{preparation.guide_pattern}'")

    @property
    def are_merged(self) -> bool:
        """Whether guides have targets other than themselves."""
        return self.pattern is not None or self.table is not None

    def target(self, guide: str) -> str | None:
        """Return the target of a guide; None if neither pattern nor table knows it.

        >>> Guides("(.+)_[0-9]+").target("ZAP70_1"), Guides("(.+)_[0-9]+(:.*)").target("ZAP70_1:IFNG")
        ('ZAP70', 'ZAP70:IFNG')
        """
        if self.table is not None:
            return self.table.get(guide)
        if self.pattern is None:
            return guide
        match = re.fullmatch(self.pattern, guide)
        return "".join(group or "" for group in match.groups()) or None if match else None


def read_guide_table(path: str | Path) -> dict[str, str]:
    """Read guide → target from a tab-separated table with columns ``guide`` and ``target``.

    Raises
    ------
    BenchmarkError
        If the file is no such table, a field is empty, or a guide has two targets.
    """
    table = with_columns(read_table(path, dtype=str, keep_default_na=False), ["guide", "target"], path)
    table = table.drop_duplicates()
    for column in table:
        if not table[column].str.strip().all():
            raise BenchmarkError(f"{path}: column '{column}' has an empty field")
    if table["guide"].duplicated().any():
        guide = table.loc[table["guide"].duplicated(), "guide"].iloc[0]
        targets = table.loc[table["guide"] == guide, "target"]
        raise BenchmarkError(f"{path}: guide '{guide}' has several targets ({', '.join(targets)})")
    return dict(zip(table["guide"], table["target"], strict=True))
