"""The change feed: in the order of commits, without gaps, through every interruption."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Final

from ostiary.errors import StoreUnavailable
from ostiary.store.database import SWEEP_ROWS, Database, Row, Transaction, Value
from ostiary.store.feed import Entry, Follower, append, sweep
from ostiary.store.generation import generation, raise_generation
from ostiary.store.migrations import migrate
from ostiary.testing.conformance.opening import DatabaseCheck, OpenDatabase, eventually, raising

LATER: Final = 4_000_000_000_000_000
"""A time, in microseconds, that has not passed."""

WRITERS: Final = 10
EACH: Final = 10


class Cut:
    """A database whose questions fail for as long as it is cut."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_cut = False

    async def all(self, sql: str, *args: Value) -> list[Row]:
        if self.is_cut:
            raise StoreUnavailable("cut")
        return await self._database.all(sql, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


async def entries_follow_in_the_order_of_commits(opened: OpenDatabase) -> None:
    """Writers in two processes: a follower gets every entry once, each writer's in its order, none missing."""
    async with _migrated(opened) as here, opened() as there:
        got: list[Entry] = []
        async with _following(here, got) as follower:
            await asyncio.gather(*(_write(lane, index) for index, lane in enumerate((here, there) * (WRITERS // 2))))
            await follower.catch_up()
        assert len(got) == len(set(got)) == WRITERS * EACH
        for writer in range(WRITERS):
            assert [entry.value for entry in got if entry.key == str(writer)] == list(range(EACH))
        numbers = await here.all("select seq from feed order by seq")
        assert numbers == [(number,) for number in range(1, WRITERS * EACH + 1)]


async def what_was_read_first_was_committed_first(opened: OpenDatabase) -> None:
    """Nobody ever sees an entry while one with a lower number is not there yet."""
    async with _migrated(opened) as here, opened() as there:
        writing = asyncio.gather(*(_write(here, index) for index in range(WRITERS)))
        while not writing.done():
            rows = await there.all("select seq from feed order by seq")
            assert rows == [(number,) for number in range(1, len(rows) + 1)]
        await writing


async def entries_of_one_transaction_stay_together(opened: OpenDatabase) -> None:
    """Many entries get consecutive numbers, and the last of them is returned."""
    many = [Entry("session", str(index), index, LATER) for index in range(250)]
    async with _migrated(opened) as database:
        assert await database.transaction(lambda tx: append(tx, many[:1])) == 1
        assert await database.transaction(lambda tx: append(tx, many)) == 251
        got: list[Entry] = []
        await Follower(database, got.extend).catch_up()
        assert got == many[:1] + many


async def what_is_rolled_back_leaves_no_gap(opened: OpenDatabase) -> None:
    """A transaction that appends and then raises takes its numbers back."""

    async def body(tx: Transaction) -> None:
        await append(tx, [_entry("lost")])
        raise LookupError("after all, no")

    async with _migrated(opened) as database:
        with raising(LookupError):
            await database.transaction(body)
        assert await database.transaction(lambda tx: append(tx, [_entry("kept")])) == 1


async def a_follower_is_told_soon(opened: OpenDatabase) -> None:
    """What another process appends arrives by itself, and again and again."""
    async with _migrated(opened) as here, opened() as there:
        got: list[Entry] = []
        async with _following(here, got):
            for key in ("first", "second", "third"):
                await there.transaction(partial(_append_one, _entry(key)))
                await eventually(partial(_is_last, got, key))


async def a_follower_starts_with_all_that_lives(opened: OpenDatabase) -> None:
    """The snapshot holds what was appended before, and is as old as the moment in which it was asked for."""
    clock = Ticking()
    got: list[Entry] = []
    async with _migrated(opened) as database:
        await database.transaction(lambda tx: append(tx, [_entry("before")]))
        follower = Follower(database, got.extend, monotonic=clock)
        assert follower.age() == float("inf")
        await follower.catch_up()
        assert got == [_entry("before")]
        clock.seconds += 3
        assert follower.age() == 3


async def only_reading_makes_fresh(opened: OpenDatabase) -> None:
    """A follower that is cut off ages, does not give up, and has missed nothing when it is restored."""
    clock = Ticking()
    got: list[Entry] = []
    async with _migrated(opened) as database:
        cut = Cut(database)
        async with _following(cut, got, clock) as follower:
            cut.is_cut = True
            clock.seconds += 60
            with raising(StoreUnavailable):
                await follower.catch_up()
            await database.transaction(lambda tx: append(tx, [_entry("meanwhile")]))
            await asyncio.sleep(0.6)
            assert follower.age() == 60
            assert got == []
            cut.is_cut = False
            await eventually(partial(_is_last, got, "meanwhile"))
            assert got == [_entry("meanwhile")]
            assert follower.age() == 0


async def what_could_not_be_applied_comes_again(opened: OpenDatabase) -> None:
    """An entry counts as known only when it was applied; until then the follower is not fresh."""
    clock = Ticking()
    got: list[Entry] = []

    def apply(entries: Sequence[Entry]) -> None:
        if clock.seconds == 0:
            raise LookupError("not yet")
        got.extend(entries)

    async with _migrated(opened) as database:
        await database.transaction(lambda tx: append(tx, [_entry("difficult")]))
        follower = Follower(database, apply, monotonic=clock)
        with raising(LookupError):
            await follower.catch_up()
        assert follower.age() == float("inf")
        clock.seconds = 1
        await follower.catch_up()
        assert got == [_entry("difficult")]


async def a_gap_means_a_new_snapshot(opened: OpenDatabase) -> None:
    """Entries that have left before they were read, and a feed that goes back: everything is read again."""
    got: list[Entry] = []
    async with _migrated(opened) as database:
        await database.transaction(lambda tx: append(tx, [_entry("first"), _entry("left")]))
        follower = Follower(database, got.extend)
        await follower.catch_up()
        await database.transaction(lambda tx: append(tx, [_entry("unread"), _entry("last")]))
        await database.execute("delete from feed where key = 'unread'")
        await follower.catch_up()
        assert [entry.key for entry in got] == ["first", "left", "first", "left", "last"]
        await database.execute("delete from feed where seq > 1")
        await database.execute("update feed_head set seq = 1")
        got.clear()
        await follower.catch_up()
        assert [entry.key for entry in got] == ["first"]


async def a_new_generation_means_a_new_snapshot(opened: OpenDatabase) -> None:
    """After a restore numbers may have been given twice, so nothing that was read before counts."""
    got: list[Entry] = []
    async with _migrated(opened) as database:
        await database.transaction(lambda tx: append(tx, [_entry("before the backup")]))
        follower = Follower(database, got.extend)
        await follower.catch_up()
        was = await generation(database)
        assert await database.transaction(partial(raise_generation, now=was)) == was + 1
        assert await generation(database) == was + 1
        await follower.catch_up()
        assert got == [_entry("before the backup")] * 2


async def a_backup_that_is_restored_twice_is_two_generations(opened: OpenDatabase) -> None:
    """Who has followed the first is told what is new in the second, under a number that was in both."""
    got: list[Entry] = []
    async with _migrated(opened) as database:
        of_the_backup = await generation(database)
        follower = Follower(database, got.extend)
        for now, key in ((LATER, "first"), (LATER + 1, "second")):
            await database.execute("update store_generation set generation = $1", of_the_backup)
            await database.execute("delete from feed")
            await database.execute("update feed_head set seq = 0")
            assert await database.transaction(partial(raise_generation, now=now)) == now
            await database.transaction(partial(_append_one, _entry(key)))
            await follower.catch_up()
        assert got == [_entry("first"), _entry("second")]


async def only_what_is_over_is_swept(opened: OpenDatabase) -> None:
    """Entries leave when their time has come, a bounded number at once; a follower goes on as if nothing had been."""
    got: list[Entry] = []
    over = [Entry("session", str(index), 0, 1_000) for index in range(SWEEP_ROWS + 1)]
    async with _migrated(opened) as database:
        await database.transaction(lambda tx: append(tx, [*over, _entry("lives")]))
        follower = Follower(database, got.extend)
        await follower.catch_up()
        assert await database.transaction(lambda tx: sweep(tx, 999)) == 0
        assert await database.transaction(lambda tx: sweep(tx, 1_000)) == SWEEP_ROWS
        assert await database.transaction(lambda tx: sweep(tx, 1_000)) == 1
        assert await database.all("select key from feed") == [("lives",)]
        got.clear()
        await database.transaction(lambda tx: append(tx, [_entry("new")]))
        await follower.catch_up()
        assert got == [_entry("new")]


class Ticking:
    """A monotonic clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


def _entry(key: str) -> Entry:
    return Entry("session", key, 0, LATER)


async def _append_one(entry: Entry, tx: Transaction) -> int:
    return await append(tx, [entry])


async def _is_last(got: Sequence[Entry], key: str) -> bool:
    return bool(got) and got[-1].key == key


async def _write(database: Database, writer: int) -> None:
    for value in range(EACH):
        entry = Entry("epoch", str(writer), value, LATER)
        await database.transaction(partial(_append_one, entry))


@contextlib.asynccontextmanager
async def _migrated(opened: OpenDatabase) -> AsyncIterator[Database]:
    async with opened() as database:
        await migrate(database, [])
        yield database


@contextlib.asynccontextmanager
async def _following(database: Any, got: list[Entry], clock: Ticking | None = None) -> AsyncIterator[Follower]:
    """A follower that runs during the block, and has to be running at its end."""
    follower = Follower(database, got.extend, monotonic=clock or time.monotonic)
    await follower.catch_up()
    running = asyncio.create_task(follower.run())
    try:
        yield follower
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.wait([running])


FEED_CHECKS: Final[tuple[DatabaseCheck, ...]] = (
    entries_follow_in_the_order_of_commits,
    what_was_read_first_was_committed_first,
    entries_of_one_transaction_stay_together,
    what_is_rolled_back_leaves_no_gap,
    a_follower_is_told_soon,
    a_follower_starts_with_all_that_lives,
    only_reading_makes_fresh,
    what_could_not_be_applied_comes_again,
    a_gap_means_a_new_snapshot,
    a_new_generation_means_a_new_snapshot,
    a_backup_that_is_restored_twice_is_two_generations,
    only_what_is_over_is_swept,
)
