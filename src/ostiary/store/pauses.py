"""Random pauses between attempts, so that callers that wait for one lock do not all come back at once."""

import secrets
import time
from collections.abc import Iterator
from typing import Final

FIRST_PAUSE: Final = 0.0005
LONGEST_PAUSE: Final = 0.01
GROWTH: Final = 1.5

_chance: Final = secrets.SystemRandom()


def jitter(longest: float) -> float:
    """A random time of up to ``longest`` seconds, at least a tenth of it."""
    return _chance.uniform(longest / 10, longest)


def pauses(patience: float, *, first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE) -> Iterator[float]:
    """How long to sleep before each further attempt, growing, until ``patience`` seconds have passed."""
    deadline = time.monotonic() + patience
    bound = first
    while time.monotonic() < deadline:
        yield jitter(bound)
        bound = min(bound * GROWTH, longest)
