"""What a split holds out: the options of :func:`svae.datasets.splits.split`."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import model_validator

from svae.errors import BenchmarkError
from svae.options import Options
from svae.values import MANY, Count, Folds, Fraction, ProperFraction, Seed, Text, number_in
from svae.words import CONTROL

LONGEST_RANGE = 10_000
"""Names that a range such as ``p80..p99`` stands for at most."""
ALL = "each"
"""Stands for each pathway of a file."""
_RANGE = re.compile(r"(?P<prefix>.*?)(?P<first>\d+)\.\.(?P=prefix)(?P<last>\d+)")


class SplitPlan(Options):
    """Which perturbations are held out; their cells are halved into those to adapt on and those to test."""

    kind: Literal["random", "named", "pathway", "largest_effect", "combinations", "each"]
    """`random` draws perturbations, `named` takes them as given, `pathway` takes those of a pathway,
    `largest_effect` those that change cells the most, `combinations` draws or takes combinations (`A+B`)
    whose parts have cells of their own, which are trained on. `each` holds out every perturbation once: it
    stands for as many splits as it has `folds`. The control is never held out."""
    held_out: int | float | Text | list[Text] | None = None
    """For `random` and `largest_effect`, a number of perturbations (a whole number) or a fraction of them
    (below 1); for `named`, a list of perturbations, in which `p80..p99` stands for p80, p81, … p99; for
    `pathway`, its name, or a list of names, or `each` for all of the file, which make a split of each; for
    `combinations`, a number or a fraction of those that can be held out, or a list of them. The kind `each`
    has none."""
    folds: Folds = 5
    """For the kind `each`, the number of parts that the perturbations are dealt into, at random, but so that
    the parts have about equal numbers of perturbations and of cells. Each part is held out once."""
    trained_combinations: Fraction = 1.0
    """For the kind `combinations`, the fraction of all other combinations that are trained on: 0 for none of
    them, 1 for all. Cells of the rest are not used."""
    pathways: Text | None = None
    """JSON or GMT file of pathway to perturbations, for the kind `pathway`."""
    validation: ProperFraction = 0.1
    """Fraction of the cells of each trained perturbation that are set aside for validation, but at least
    one cell; 0 for none. Cells of a batch that would have none to train on are trained on instead."""

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_read(cls, entry: Any) -> Any:
        """Read a number that YAML takes for text, where one is wanted."""
        if isinstance(entry, dict) and entry.get("kind") in ("random", "largest_effect", "combinations"):
            return {key: number_in(value) if key == "held_out" else value for key, value in entry.items()}
        return entry

    @model_validator(mode="after")
    def _keys_suit_the_kind(self) -> "SplitPlan":
        """Refuse what no dataset could make right."""
        if (self.held_out is None) != (self.kind == "each"):
            wanted = "does not take" if self.kind == "each" else "needs"
            raise BenchmarkError(f"the kind '{self.kind}' {wanted} the key 'held_out'")
        if self.kind == "named" or (self.kind == "combinations" and isinstance(self.held_out, str | list)):
            if len(set(self.names)) < len(self.names):
                repeated = next(name for name in self.names if self.names.count(name) > 1)
                raise BenchmarkError(f"held_out names '{repeated}' twice")
            if CONTROL in self.names:
                raise BenchmarkError(f"held_out names '{CONTROL}', which is never held out")
        elif self.kind == "pathway":
            if not isinstance(self.held_out, str | list) or not self.held_out:
                raise BenchmarkError(f"held_out is {self.held_out!r}, but must be the name of a pathway")
        elif self.kind != "each":
            _refuse_number(self.held_out)
        if (self.pathways is None) == (self.kind == "pathway"):
            wanted = "needs" if self.kind == "pathway" else "does not take"
            raise BenchmarkError(
                f"the kind '{self.kind}' {wanted} the key 'pathways', a file of pathways (GMT or JSON)"
            )
        if "trained_combinations" in self.model_fields_set and self.kind != "combinations":
            raise BenchmarkError(f"the kind '{self.kind}' does not take the key 'trained_combinations'")
        if "folds" in self.model_fields_set and self.kind != "each":
            raise BenchmarkError(f"the kind '{self.kind}' does not take the key 'folds'")
        return self

    @property
    def is_several(self) -> bool:
        """Whether the plan stands for several splits, which :mod:`svae.workflow.split_up` makes of it."""
        is_list = isinstance(self.held_out, list) or self.held_out == ALL
        return self.kind == "each" or (self.kind == "pathway" and is_list)

    @property
    def names(self) -> list[str]:
        """Names in ``held_out``, with ranges written out.

        Raises
        ------
        BenchmarkError
            If there are none, or a range counts down or is too long.
        """
        if not isinstance(self.held_out, str | list):
            raise BenchmarkError(f"held_out is {self.held_out!r}, but must be a list of perturbations")
        if not self.held_out:
            raise BenchmarkError(f"held_out is {self.held_out!r}; name at least one perturbation")
        given = [self.held_out] if isinstance(self.held_out, str) else self.held_out
        return [name for entry in given for name in _written_out(entry)]


class Fold(SplitPlan):
    """One of the splits that a plan of the kind `each` stands for; no config file has it."""

    of: Text
    """Name of the plan."""
    fold: Count
    """Which of its folds is held out, the first of which is 1."""
    seed: Seed
    """Seed of the deal, which all folds of the plan share."""

    @property
    def is_several(self) -> bool:
        """It is one."""
        return False


def read_plan(entry: Mapping[str, Any]) -> SplitPlan:
    """Read what :func:`pydantic.BaseModel.model_dump` made of a plan, be it that of a fold."""
    return (Fold if "fold" in entry else SplitPlan).model_validate(dict(entry))


def _refuse_number(held_out: int | float | str | list[str] | None) -> None:
    """Raise unless `held_out` is a number of perturbations, or a fraction of them."""
    if isinstance(held_out, float) and held_out >= 1:
        is_number = held_out.is_integer() and held_out <= MANY
        hint = f"; for {held_out:.0f} of them, write {held_out:.0f}" if is_number else ""
        raise BenchmarkError(f"held_out is {held_out}, but a fraction of the perturbations is below 1{hint}")
    if not isinstance(held_out, int | float) or not held_out > 0:
        raise BenchmarkError(
            f"held_out is {held_out!r}, but must be a number of perturbations (1 or more) or a fraction"
        )


def _written_out(name: str) -> list[str]:
    """Return the names that a range such as ``p80..p99`` stands for; any other name is itself.

    >>> _written_out("p08..p10"), _written_out("TP53")
    (['p08', 'p09', 'p10'], ['TP53'])
    """
    match = _RANGE.fullmatch(name)
    if match is None:
        return [name]
    prefix, first, last = match["prefix"], match["first"], match["last"]
    number = int(last) - int(first) + 1
    if number < 1:
        raise BenchmarkError(
            f"held_out: the range '{name}' counts down; write '{prefix}{last}..{prefix}{first}'"
        )
    if number > LONGEST_RANGE:
        raise BenchmarkError(
            f"held_out: the range '{name}' has {number:,} names, more than {LONGEST_RANGE:,}"
        )
    return [f"{prefix}{i:0{len(first)}d}" for i in range(int(first), int(last) + 1)]
