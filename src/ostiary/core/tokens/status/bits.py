"""The bits of the status lists, as the change feed sets them.

A bit stands for the tokens of one session and epoch. Which bits an entry of the feed sets, the database tells: it knows
who has which slot. Entries are asked for as they come; now and then everything is asked for anew, because bits have to
be cleared too: when its entry has left the feed, no token that could carry the bit is good any more, and when its slot
is free, somebody else is given it.
"""

import asyncio
from typing import Final

from ostiary.core.clock import MICROSECONDS, Clock
from ostiary.core.tokens.status import queries
from ostiary.store.database import Database
from ostiary.store.feed import Position, Progress, head

REBUILT_EVERY: Final = 20 * 60
"""Seconds for which bits that were set stay set, whatever has become of their entries."""

NEEDED: Final = 2 * REBUILT_EVERY
"""Seconds before a slot is free in which its bit is set no more: the next time that all bits are asked for comes before
somebody else has it. No token carries it by then (see `ostiary.core.tokens.status.service`)."""

SETTLED: Final = 30
"""Seconds after which entries are considered once more: on PostgreSQL a transaction that began before a revocation may
have taken a slot, for tokens that it refuses, and be visible only after it."""

_ENTRIES: Final = 2_000
"""Of the feed, considered by one statement."""


class StatusBits:
    """Nothing is read before the first question.

    Args:
        feed: how far this process has read: bits are never older.
        size: entries of a list.
    """

    def __init__(self, database: Database, feed: Progress, *, clock: Clock, size: int) -> None:
        self.size: Final = size
        self._database = database
        self._feed = feed
        self._clock = clock
        self._reading = asyncio.Lock()
        self._lists: dict[int, bytearray] = {}
        self._read = Position(0, 0)
        self._rebuilt_at: int | None = None
        self._settled = 0
        self._settles: tuple[int, int] | None = None  # when, and up to which entry

    async def of(self, number: int) -> bytes:
        """The bits of a list, that of entry 0 the least significant one of the first byte; all zero for one that is not
        there. Raises StoreUnavailable."""
        async with self._reading:
            await self._catch_up(self._clock.now())
        return bytes(self._lists.get(number) or self._zeros())

    async def _catch_up(self, now: int) -> None:
        if self._rebuilt_at is None or now - self._rebuilt_at >= REBUILT_EVERY * MICROSECONDS:
            await self._rebuild(now)
        elif self._feed.has_passed(self._read):
            end = await head(self._database)
            if end.generation != self._read.generation:
                await self._rebuild(now)
            else:
                await self._consider(self._lists, self._read.seq, end.seq, now)
                self._read = end
        await self._settle(now)

    async def _rebuild(self, now: int) -> None:
        lists: dict[int, bytearray] = {}
        end = await head(self._database)
        await self._consider(lists, 0, end.seq, now)
        if end.generation != self._read.generation:
            self._settled, self._settles = 0, None
        self._lists, self._read, self._rebuilt_at = lists, end, now

    async def _settle(self, now: int) -> None:
        """Considers once more what was considered `SETTLED` ago."""
        if self._settles is not None and now >= self._settles[0]:
            upto = self._settles[1]
            await self._consider(self._lists, self._settled, upto, now)
            self._settled, self._settles = upto, None
        if self._settles is None and self._settled < self._read.seq:
            self._settles = now + SETTLED * MICROSECONDS, self._read.seq

    async def _consider(self, lists: dict[int, bytearray], after: int, upto: int, now: int) -> None:
        """Sets the bits of the entries after one number up to another."""
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
