"""Errors a user can act on: one sentence that names the file or key and the nearest valid choice."""

from collections.abc import Iterable
from difflib import get_close_matches


class BenchmarkError(ValueError):
    """Bad input. The message is one sentence written for the person who typed the input."""


def unknown(kind: str, name: object, valid: Iterable[object], where: str) -> BenchmarkError:
    """Build the error for a `name` that is not among the `valid` ones, naming the nearest of them.

    >>> str(unknown("method", "SVEA", ["svae", "vae"], "config/demo.yaml: methods"))
    "config/demo.yaml: methods: unknown method 'SVEA', did you mean 'svae'? (known: svae, vae)"
    """
    choices = sorted(str(choice) for choice in valid)
    found = " ".join(str(name).split())[:80]
    near = get_close_matches(found.lower(), [choice.lower() for choice in choices], n=1, cutoff=0.5)
    nearest = [choice for choice in choices if choice.lower() in near]
    hint = f", did you mean '{nearest[0]}'?" if nearest else "."
    shown = ", ".join(choices[:12]) + (f", … {len(choices) - 12} more" if len(choices) > 12 else "")
    return BenchmarkError(f"{where}: unknown {kind} '{found}'{hint} (known: {shown or 'none'})")
