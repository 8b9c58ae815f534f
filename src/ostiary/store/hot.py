"""The `Hot` port: counters and reservations that may be lost, and nothing else."""

import hashlib
from dataclasses import dataclass
from typing import Final, Protocol

MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so long: ``Rate(5, 60)`` is five a minute, all five at once if one likes (GCRA)."""

    count: int
    seconds: int

    def __post_init__(self) -> None:
        if self.count < 1 or self.seconds < 1:
            raise ValueError("must be at least one in one second")

    @property
    def interval(self) -> int:
        """Microseconds until one comes back, rounded up: never more than ``count`` in ``seconds``."""
        return -(-self.seconds * MICROSECONDS // self.count)

    @property
    def tolerance(self) -> int:
        """How many microseconds ahead of now a counter may be and still give one: all but the last at once."""
        return self.interval * (self.count - 1)


class Hot(Protocol):
    """Counters and replay caches. Unreachable: `ostiary.errors.StoreUnavailable`, and the caller refuses.

    Losing the state may at most allow what a fresh start would allow. Everything single-use that must not be lost is
    a row in the `Database`. Every time is in microseconds since the epoch.
    """

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def take(self, key: str, rate: Rate, *, now: int) -> int:
        """Takes one from ``key``. Returns 0 when it was there, else the microseconds until it will be.

        Atomic: concurrent callers never take more than the rate allows.
        """

    async def give_back(self, key: str, rate: Rate, *, now: int) -> None:
        """Puts one back that was taken. Never beyond full."""

    async def reserve(self, key: str, *, until: int, now: int) -> bool:
        """True for the first caller with ``key`` until ``until``, False for every other one.

        Raises:
            StoreUnavailable: also when the state was lost so recently that an earlier reservation could be forgotten.
        """

    async def sweep(self, now: int) -> None:
        """Forgets what has run out."""


def hashed(key: str) -> bytes:
    """What is stored of a key: callers may name things by addresses, and by text of any length from outside."""
    return hashlib.sha256(key.encode()).digest()
