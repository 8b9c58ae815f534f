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
"""Seconds after which whoever asks next has all bits asked for anew. Others do not wait for that."""

USED_FOR: Final = 30 * 60
"""Seconds after which they do: bits that were set longer ago are not shown."""

NEEDED: Final = 40 * 60
"""Seconds before a slot is free in which its bit is set no more. What was set before is gone by then, also from the
copies that somebody may have; and no token carries it any more (see `ostiary.core.tokens.status.service`)."""

SETTLED: Final = 30
"""Seconds after which entries are considered once more: on PostgreSQL a transaction that began before a revocation may
have taken a slot, for tokens that it refuses, and be visible only after it."""

_ENTRIES: Final = 2_000
"""Of the feed, considered by one statement."""


class StatusBits:
    """Nothing is read before the first `refresh`.

    Args:
        feed: how far this process has read.
        size: entries of a list.
    """

    def __init__(self, database: Database, feed: Progress, *, clock: Clock, size: int) -> None:
        self.size: Final = size
        self._database = database
        self._feed = feed
        self._clock = clock
        self._reading = asyncio.Lock()
        self._rebuilding = asyncio.Lock()
        self._lists: dict[int, bytearray] = {}
        self._read = Position(-1, 0)  # of no feed
        self._rebuilt_at = 0
        self._settled = 0
        self._settles: tuple[int, int] | None = None  # when, and up to which entry

    def of(self, number: int) -> bytes:
        """The bits of a list, that of entry 0 the least significant one of the first byte."""
        return bytes(self._lists.get(number) or self._zeros())

    async def refresh(self) -> None:
        """Brings the bits up to what this process has read of the feed. Raises StoreUnavailable."""
        now = self._clock.now()
        if self._is_older_than(REBUILT_EVERY, now):
            await self._rebuild(now)
        await self._catch_up(now)
        await self._settle(now)

    def _is_older_than(self, seconds: int, now: int) -> bool:
        is_of_this_feed = self._read.generation == self._feed.position.generation
        return not is_of_this_feed or now - self._rebuilt_at >= seconds * MICROSECONDS

    async def _rebuild(self, now: int) -> None:
        if self._rebuilding.locked() and not self._is_older_than(USED_FOR, now):
            return  # somebody is at it, and what there is can be used in the meantime
        async with self._rebuilding:
            if self._is_older_than(REBUILT_EVERY, now):
                await self._replace(now)

    async def _replace(self, now: int) -> None:
        lists: dict[int, bytearray] = {}
        settled, end = self._settled, await head(self._database)
        await self._consider(lists, 0, end.seq, now)
        async with self._reading:
            is_same_feed = end.generation == self._read.generation
            if is_same_feed and self._read.seq > end.seq:  # the old ones went on in the meantime
                await self._consider(lists, end.seq, self._read.seq, now)
                end = self._read
            # what has settled in the old lists since may have been considered too early for the new ones
            self._settled, self._settles = settled if is_same_feed else 0, None
            self._lists, self._read, self._rebuilt_at = lists, end, now

    async def _catch_up(self, now: int) -> None:
        async with self._reading:
            if not self._feed.has_passed(self._read):
                return
            end = await head(self._database)
            if end.generation == self._read.generation:  # else all is to be asked for anew, by the next who asks
                await self._consider(self._lists, self._read.seq, end.seq, now)
                self._read = end

    async def _settle(self, now: int) -> None:
        """Considers once more what was considered `SETTLED` ago."""
        if self._settles is not None and now >= self._settles[0]:
            upto, lists, self._settles = self._settles[1], self._lists, None  # others do not wait for it
            await self._consider(lists, self._settled, upto, now)
            if lists is self._lists:
                self._settled = upto
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
