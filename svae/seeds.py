"""Seeds that come from names, so that no number depends on the order in which jobs run."""

import hashlib
from numbers import Integral

from svae.errors import BenchmarkError
from svae.values import LARGEST_SEED


def seed_from(*names: object) -> int:
    """Hash the names (scope seed, dataset, replicate, …) to an integer in [0, 2³¹).

    A new method, setting or replicate leaves the seeds of all others alone.
    """
    text = "\x1f".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def seed_of_32_bits(seed: int) -> int:
    """Return a seed that scikit-learn and umap take, which want fewer bits than files keep."""
    return seed % 2**32


def checked_seed(seed: object, where: str, largest: int = LARGEST_SEED) -> int:
    """Return a seed that a user gave.

    Parameters
    ----------
    seed
        A whole number, at least 0.
    where
        Name of the function that takes it, for the error message.
    largest
        What the generator can begin with.

    Raises
    ------
    BenchmarkError
        If it is something else.
    """
    number = int(seed) if isinstance(seed, Integral) and not isinstance(seed, bool) else -1
    if not 0 <= number <= largest:
        raise BenchmarkError(f"{where}: seed is {seed!r}, but must be a whole number from 0 to {largest}")
    return number
