"""Errors a user can act on: one sentence that names the file or key and the nearest valid choice."""

from collections.abc import Iterable
from difflib import get_close_matches


class BenchmarkError(ValueError):
    """Bad input. The message is one sentence written for the person who typed the input."""


def unknown(kind: str, name: object, valid: Iterable[object], where: str) -> BenchmarkError:
    """Build the error for a `name` that is not among the `valid` ones, naming the nearest of them.

    >>> str(unknown("method", "svea", ["svae", "vae"], "config/demo.yaml: methods"))
    "config/demo.yaml: methods: unknown method 'svea', did you mean 'svae'? (known: svae, vae)"
    """
    choices = sorted(str(choice) for choice in valid)
    near = get_close_matches(str(name), choices, n=1, cutoff=0.5)
    hint = f", did you mean '{near[0]}'?" if near else "."
    shown = ", ".join(choices[:12]) + (f", … {len(choices) - 12} more" if len(choices) > 12 else "")
    return BenchmarkError(f"{where}: unknown {kind} '{name}'{hint} (known: {shown or 'none'})")
