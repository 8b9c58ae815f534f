"""The bits of the status lists, derived from the change feed.

A bit stands for the tokens of one session and epoch. The database stores which session has which slot, so a query
returns the bits that an entry of the feed sets. New entries are read as they arrive. From time to time all bits are
rebuilt, because bits must also be cleared. Once its entry has left the feed, no valid token can carry the bit any more,
and once its slot is free, another session may get it.
"""

import asyncio
from typing import Final

from ostiary.core.clock import MICROSECONDS, Clock, is_recent
from ostiary.core.tokens.status import queries
from ostiary.store.database import Database
from ostiary.store.feed import Position, Progress, head

REBUILT_EVERY: Final = 20 * 60
"""Seconds after which the next caller rebuilds all bits. Other callers do not wait for the rebuild."""

USED_FOR: Final = 30 * 60
"""Seconds after which every caller waits for the rebuild. Older bits are not served."""

NEEDED: Final = 40 * 60
"""Seconds before a slot becomes free in which its bit is no longer set. Bits that were set before that are gone by the
time the slot is free, also from cached copies, and no token carries them any more (see
`ostiary.core.tokens.status.service`)."""

SETTLED: Final = 30
"""Seconds after which entries are processed a second time. On PostgreSQL, a transaction that began before a revocation
may take a slot for tokens that the revocation refuses, and become visible only after it."""

_ENTRIES: Final = 2_000
"""Entries of the feed that one statement processes."""


class StatusBits:
    """Nothing is read before the first `refresh`.

    Args:
        feed: how far this process has read the feed.
        size: the number of entries in a list.
    """

    def __init__(self, database: Database, feed: Progress, *, clock: Clock, size: int) -> None:
        self.size: Final = size
        self._database = database
        self._feed = feed
        self._clock = clock
        self._reading = asyncio.Lock()
        self._rebuilding = asyncio.Lock()
        self._lists: dict[int, bytearray] = {}
        self._read = Position(-1, 0)  # matches no feed
        self._snapshots = 0
        self._rebuilt_at = 0
        self._settled = 0
        self._settles: tuple[int, int] | None = None  # the time, and the last entry

    def of(self, number: int) -> bytes:
        """The bits of a list. Entry 0 is the least significant bit of the first byte."""
        return bytes(self._lists.get(number) or self._zeros())

    async def refresh(self) -> None:
        """Updates the bits to what this process has read of the feed. Raises StoreUnavailable."""
        now = self._clock.now()
        if self._is_older_than(REBUILT_EVERY, now):
            await self._rebuild(now)
        await self._catch_up(now)
        await self._settle(now)

    def _is_older_than(self, seconds: int, now: int) -> bool:
        is_current = is_recent(self._rebuilt_at, now=now, within=seconds * MICROSECONDS)
        return not self._is_of_this_feed() or not is_current

    def _is_of_this_feed(self) -> bool:
        """Not after a restore, nor after a failover that lost entries: the process has then read everything again."""
        feed = self._feed
        return self._read.generation == feed.position.generation and self._snapshots == feed.snapshots

    async def _rebuild(self, now: int) -> None:
        if self._rebuilding.locked() and not self._is_older_than(USED_FOR, now):
            return  # another caller is rebuilding, and the existing bits can still be used
        async with self._rebuilding:
            if self._is_older_than(REBUILT_EVERY, now):
                await self._replace(now)

    async def _replace(self, now: int) -> None:
        lists: dict[int, bytearray] = {}
        settled, snapshots, end = self._settled, self._feed.snapshots, await head(self._database)
        await self._consider(lists, 0, end.seq, now)
        async with self._reading:
            is_same_feed = end.generation == self._read.generation and self._snapshots == snapshots
            if is_same_feed and self._read.seq > end.seq:  # the old bits have advanced in the meantime
                await self._consider(lists, end.seq, self._read.seq, now)
                end = self._read
            # entries that have settled in the old lists since then may have been read too early for the new ones
            self._settled, self._settles = settled if is_same_feed else 0, None
            self._lists, self._read, self._snapshots, self._rebuilt_at = lists, end, snapshots, now

    async def _catch_up(self, now: int) -> None:
        async with self._reading:
            if not self._feed.has_passed(self._read):
                return
            end = await head(self._database)
            if end.generation == self._read.generation:  # otherwise the next caller rebuilds everything
                await self._consider(self._lists, self._read.seq, end.seq, now)
                self._read = end

    async def _settle(self, now: int) -> None:
        """Processes the entries a second time, `SETTLED` seconds after the first."""
        if self._settles is not None and now >= self._settles[0]:
            upto, lists, self._settles = self._settles[1], self._lists, None  # other callers do not wait for it
            await self._consider(lists, self._settled, upto, now)
            if lists is self._lists:
                self._settled = upto
        if self._settles is None and self._settled < self._read.seq:
            self._settles = now + SETTLED * MICROSECONDS, self._read.seq

    async def _consider(self, lists: dict[int, bytearray], after: int, upto: int, now: int) -> None:
        """Sets the bits for the entries after ``after`` up to ``upto``."""
        needed = now + NEEDED * MICROSECONDS
        least = await queries.least_of_everybody(self._database, after=after, upto=upto)
        if least is not None:
            await self._refuse_everybody(lists, least, needed)
        while (first := await queries.next_revocation(self._database, after=after, upto=upto)) is not None:
            after = min(first - 1 + _ENTRIES, upto)
            for number, index in await queries.refused(self._database, first, after, needed=needed):
                self._set(lists, number, index)

    async def _refuse_everybody(self, lists: dict[int, bytearray], least: int, needed: int) -> None:
        for number in await queries.lists(self._database):
            for start in range(0, self.size, queries.INDEXES):
                for index in await queries.older_than(self._database, number, start, ver=least, needed=needed):
                    self._set(lists, number, index)

    def _set(self, lists: dict[int, bytearray], number: int, index: int) -> None:
        if number not in lists:
            lists[number] = self._zeros()
        lists[number][index >> 3] |= 1 << (index & 7)

    def _zeros(self) -> bytearray:
        return bytearray(-(-self.size // 8))
