"""Random pauses between attempts, so that callers that wait for one lock do not all retry at the same time."""

import secrets
import time
from collections.abc import Iterator
from typing import Final

FIRST_PAUSE: Final = 0.0005
LONGEST_PAUSE: Final = 0.01
GROWTH: Final = 1.5

_chance: Final = secrets.SystemRandom()


def jitter(longest: float) -> float:
    """A random time between a tenth of ``longest`` and ``longest``, in seconds."""
    return _chance.uniform(longest / 10, longest)


def pauses(patience: float, *, first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE) -> Iterator[float]:
    """Yields how long to sleep before each further attempt, until ``patience`` seconds have passed. Pauses grow."""
    deadline = time.monotonic() + patience
    bound = first
    while time.monotonic() < deadline:
        yield jitter(bound)
        bound = min(bound * GROWTH, longest)
