"""How many examples a property-based test draws: a few, or all that are asked for before a release."""

import os

from hypothesis import HealthCheck, settings

SLOW = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)


def draws(quick: int, full: int) -> settings:
    """Draw `quick` examples, always the same; or `full` new ones if SVAE_ALL_DRAWS is set (`make draws`)."""
    thorough = bool(os.environ.get("SVAE_ALL_DRAWS"))
    return settings(
        max_examples=full if thorough else quick,
        derandomize=not thorough,
        database=None,
        deadline=None,
        suppress_health_check=SLOW,
    )
