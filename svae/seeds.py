"""Seeds that come from names, so that no number depends on the order in which jobs run."""

import hashlib


def seed_from(*names: object) -> int:
    """Hash the names (scope seed, dataset, replicate, …) to an integer in [0, 2³¹).

    A new method, setting or replicate leaves the seeds of all others alone.
    """
    text = "\x1f".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
