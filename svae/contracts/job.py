"""A job: the names under which fits, metrics and rows of tables are filed."""

from typing import NamedTuple


class Job(NamedTuple):
    """One method on one replicate of one split of one dataset: what a single run of a method fits."""

    dataset: str
    split: str
    replicate: int
    method: str
