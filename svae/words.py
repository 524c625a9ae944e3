"""The words that more than one module must agree on."""

from typing import Literal

CONTROL = "control"
"""Label of unperturbed cells in every prepared dataset."""

Part = Literal["train", "validation", "adapt", "test", "unused"]
"""What a split uses a cell for; ``adapt`` and ``test`` are the halves of the held-out perturbations. Nothing
looks at ``unused`` cells, those of combinations that a split neither trains on nor holds out."""

Basis = Literal["zero_shot", "adapted", "combination"]
"""What a method was allowed to see of a held-out perturbation whose profile it predicts: nothing, its cells
of part ``adapt``, or what its parts do alone."""

Status = Literal["ok", "failed", "timeout", "out_of_memory", "diverged", "not_applicable"]
"""How a fit ended."""

ENDED_WELL: tuple[Status, ...] = ("ok", "not_applicable")
"""Statuses of fits that there is no reason to try again."""

PROTOCOLS = ("zero_shot", "same_cells", "clean")
"""How the shifts of a held-out perturbation are set before its cells are scored."""

Outcome = Literal["chosen", "fallback", "failed", "not_applicable"]
"""How a selection rule came to its setting: it chose; it had nothing to choose by, and the fixed setting was
taken instead; no fit that it could take ended well; or there is nothing that it could apply to."""

Verdict = Literal[
    "differs",
    "differs before correction",
    "differs by less than the margin",
    "equal within the margin",
    "not decided",
]
"""What the interval of a difference allows to say: it leaves out zero, also after correction for the number
of tests or not; it lies within the metric's margin, without zero or with it; or none of these."""
