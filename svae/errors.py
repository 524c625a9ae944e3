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
    found = written_out(name, 80)
    near = get_close_matches(found.lower(), [choice.lower() for choice in choices], n=1, cutoff=0.5)
    nearest = [choice for choice in choices if choice.lower() in near]
    hint = f", did you mean '{nearest[0]}'?" if nearest else "."
    return BenchmarkError(f"{where}: unknown {kind} '{found}'{hint} (known: {listed(choices) or 'none'})")


def listed(choices: list[str], length: int = 200, between: str = ", ") -> str:
    """List the first dozen of some names, or as many as fit in `length` characters, and count the others.

    >>> listed(["VAE", "iVAE", "sVAE"], length=10)
    'VAE, iVAE, … 1 more'
    """
    shown = choices[:12]
    while len(shown) > 1 and len(between.join(shown)) > length:
        shown.pop()
    rest = len(choices) - len(shown)
    return between.join(shown) + (f"{between}… {rest} more" if rest else "")


def written_out(name: object, length: int = 1000) -> str:
    r"""Show a name that somebody gave as it is: spaces stay, and what does not print is escaped.

    >>> written_out(" seed"), written_out("a\nb\0"), written_out(3)
    (' seed', 'a\\nb\\x00', '3')
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(name))
    return shown if len(shown) <= length else shown[: length - 1] + "…"


def one_line(text: str, length: int = 1000) -> str:
    r"""Put a text of unknown origin on one line of printable characters, cut to `length`.

    >>> one_line("two\n lines,\0 a bell\a")
    'two lines, a bell'
    """
    printable = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(printable.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, or its type where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def sentence(error: BaseException) -> str:
    """Tell an error in one line: the message of a :class:`BenchmarkError`, or the first line of another's.

    >>> sentence(KeyError("x")), sentence(BenchmarkError("file: no such key"))
    ("KeyError: 'x'", 'file: no such key')
    """
    kind = type(error).__name__
    if isinstance(error, BenchmarkError):
        return one_line(str(error)) or kind
    first = str(error).strip().partition("\n")[0]
    return one_line(f"{kind}: {first}" if first else kind)
