"""The `Hot` port: counters and reservations that may be lost, and nothing else."""

import hashlib
from dataclasses import dataclass
from typing import Final, Protocol

MICROSECONDS: Final = 1_000_000

CLOCK_TOLERANCE: Final = 2 * MICROSECONDS
"""How far the clocks of two servers may differ. A server is ready only while it is at most a second off the clock of
the database."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate limit (GCRA). ``Rate(5, 60)`` allows five per minute, including a burst of all five at once."""

    count: int
    seconds: int

    def __post_init__(self) -> None:
        if self.count < 1 or self.seconds < 1:
            raise ValueError("a rate needs a count of at least 1 and a time of at least 1 second")

    @property
    def interval(self) -> int:
        """Microseconds until one more is available, rounded up so that ``count`` in ``seconds`` is never exceeded."""
        return -(-self.seconds * MICROSECONDS // self.count)

    @property
    def tolerance(self) -> int:
        """Microseconds that a counter may be ahead of now and still allow a take: a full burst minus one interval."""
        return self.interval * (self.count - 1)

    def latest(self, now: int) -> int:
        """The latest time that a counter can have, if the clocks of all servers are right."""
        return now + self.interval * self.count + CLOCK_TOLERANCE


class Hot(Protocol):
    """Counters and replay caches. Raises `ostiary.errors.StoreUnavailable` if unreachable; the caller then refuses.

    If the state is lost, this may allow at most what a fresh start would allow. Single-use data that must not be lost
    is a row in the `Database`. All times are in microseconds since the epoch.
    """

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def take(self, key: str, rate: Rate, *, now: int) -> int:
        """Takes one from ``key``. Returns 0 on success, otherwise the microseconds until one will be available.

        It is atomic: concurrent callers never take more than the rate allows.
        """

    async def give_back(self, key: str, rate: Rate, *, now: int) -> None:
        """Puts back one that was taken. The counter never gets more than full."""

    async def reserve(self, key: str, *, until: int, now: int) -> bool:
        """Returns True for the first caller with ``key`` before ``until``, and False for every other caller.

        Raises:
            StoreUnavailable: also if the state was lost so recently that an earlier reservation may be forgotten.
        """

    async def sweep(self, now: int) -> None:
        """Removes what has expired."""


def hashed(key: str) -> bytes:
    """The stored form of a key. Callers' keys may contain addresses, and text of any length from outside."""
    return hashlib.sha256(key.encode()).digest()
