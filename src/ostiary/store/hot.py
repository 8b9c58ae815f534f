"""The `Hot` port: counters and reservations that may be lost, and nothing else."""

from typing import NamedTuple, Protocol


class Rate(NamedTuple):
    """So many in so long: ``Rate(5, 60)`` is five a minute, all five at once if one likes (GCRA)."""

    count: int
    seconds: int


class Hot(Protocol):
    """Counters and replay caches. Unreachable: `ostiary.errors.StoreUnavailable`, and the caller refuses.

    Losing the state may at most allow what a fresh start would allow. Everything single-use that must not be lost is
    a row in the `Database`.
    """

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def take(self, key: str, rate: Rate, *, now: int) -> int:
        """Takes one from ``key``. Returns 0 when it was there, else the microseconds until it will be.

        Atomic: concurrent callers never take more than the rate allows. ``now`` is in microseconds since the epoch.
        """

    async def give_back(self, key: str, rate: Rate, *, now: int) -> None:
        """Puts one back that was taken. Never beyond full."""

    async def reserve(self, key: str, *, until: int, now: int) -> bool:
        """True for the first caller with ``key`` until ``until`` (microseconds), False for every other one."""
