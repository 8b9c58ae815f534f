"""The change feed: in commit order and without gaps, despite every interruption."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Final

from ostiary.errors import StoreUnavailable
from ostiary.store.database import SWEEP_ROWS, Database, Row, Transaction, Value
from ostiary.store.feed import Entry, Follower, sweep
from ostiary.store.generation import generation, raise_generation
from ostiary.testing.conformance.feeding import LATER, append_all, append_one, entry, migrated
from ostiary.testing.conformance.opening import DatabaseCheck, OpenDatabase, eventually, raising

WRITERS: Final = 10
EACH: Final = 10


class Cut:
    """A database whose reads fail while it is cut off."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_cut = False

    async def few(self, sql: str, *args: Value) -> list[Row]:
        self._refuse_when_cut()
        return await self._database.few(sql, *args)

    async def all(self, sql: str, *args: Value) -> list[Row]:
        self._refuse_when_cut()
        return await self._database.all(sql, *args)

    def _refuse_when_cut(self) -> None:
        if self.is_cut:
            raise StoreUnavailable("cut")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


async def entries_are_in_commit_order(opened: OpenDatabase) -> None:
    """With writers in two processes, a follower gets every entry once, and each writer's entries in order."""
    async with migrated(opened) as here, opened() as there:
        got: list[Entry] = []
        async with _following(here, got) as follower:
            await asyncio.gather(*(_write(lane, index) for index, lane in enumerate((here, there) * (WRITERS // 2))))
            await follower.catch_up()
        assert len(got) == len(set(got)) == WRITERS * EACH
        for writer in range(WRITERS):
            assert [entry.value for entry in got if entry.key == str(writer)] == list(range(EACH))
        numbers = await here.all("select seq from feed order by seq")
        assert numbers == [(number,) for number in range(1, WRITERS * EACH + 1)]


async def no_entry_is_visible_before_lower_numbers(opened: OpenDatabase) -> None:
    """No reader ever sees an entry before all entries with lower numbers."""
    async with migrated(opened) as here, opened() as there:
        writing = asyncio.gather(*(_write(here, index) for index in range(WRITERS)))
        while not writing.done():
            rows = await there.all("select seq from feed order by seq")
            assert rows == [(number,) for number in range(1, len(rows) + 1)]
        await writing


async def entries_of_one_transaction_stay_together(opened: OpenDatabase) -> None:
    """Many entries get consecutive numbers, and the last number is returned."""
    many = [Entry("session", str(index), index, LATER) for index in range(250)]
    async with migrated(opened) as database:
        assert await database.transaction(lambda tx: append_all(tx, many[:1])) == 1
        assert await database.transaction(lambda tx: append_all(tx, many)) == 251
        got: list[Entry] = []
        await Follower(database, got.extend).catch_up()
        assert got == many[:1] + many


async def a_rollback_leaves_no_gap(opened: OpenDatabase) -> None:
    """A transaction that appends and then raises frees its numbers again."""

    async def body(tx: Transaction) -> None:
        await append_all(tx, [entry("lost")])
        raise LookupError("after all, no")

    async with migrated(opened) as database:
        with raising(LookupError):
            await database.transaction(body)
        assert await database.transaction(lambda tx: append_all(tx, [entry("kept")])) == 1


async def a_follower_is_updated_soon(opened: OpenDatabase) -> None:
    """What another process appends arrives automatically, each time."""
    async with migrated(opened) as here, opened() as there:
        got: list[Entry] = []
        async with _following(here, got):
            for key in ("first", "second", "third"):
                await there.transaction(partial(append_one, entry(key)))
                await eventually(partial(_is_last, got, key))


async def a_follower_starts_with_a_snapshot(opened: OpenDatabase) -> None:
    """The snapshot contains what was appended before. Its age counts from when the read began."""
    clock = Ticking()
    got: list[Entry] = []
    async with migrated(opened) as database:
        await database.transaction(lambda tx: append_all(tx, [entry("before")]))
        follower = Follower(database, got.extend, monotonic=clock)
        assert follower.age() == float("inf")
        await follower.catch_up()
        assert got == [entry("before")]
        clock.seconds += 3
        assert follower.age() == 3


async def only_a_successful_read_makes_a_follower_fresh(opened: OpenDatabase) -> None:
    """A follower that is cut off ages and keeps trying. When the database is back, it has missed nothing."""
    clock = Ticking()
    got: list[Entry] = []
    async with migrated(opened) as database:
        cut = Cut(database)
        async with _following(cut, got, clock) as follower:
            cut.is_cut = True
            clock.seconds += 60
            with raising(StoreUnavailable):
                await follower.catch_up()
            await database.transaction(lambda tx: append_all(tx, [entry("meanwhile")]))
            await asyncio.sleep(0.6)
            assert follower.age() == 60
            assert got == []
            cut.is_cut = False
            await eventually(partial(_is_last, got, "meanwhile"))
            assert got == [entry("meanwhile")]
            assert follower.age() == 0


async def entries_that_could_not_be_applied_are_read_again(opened: OpenDatabase) -> None:
    """An entry counts as known only after it was applied. Until then the follower is not fresh."""
    clock = Ticking()
    got: list[Entry] = []

    def apply(entries: Sequence[Entry]) -> None:
        if clock.seconds == 0:
            raise LookupError("not yet")
        got.extend(entries)

    async with migrated(opened) as database:
        await database.transaction(lambda tx: append_all(tx, [entry("difficult")]))
        follower = Follower(database, apply, monotonic=clock)
        with raising(LookupError):
            await follower.catch_up()
        assert follower.age() == float("inf")
        clock.seconds = 1
        await follower.catch_up()
        assert got == [entry("difficult")]


async def a_gap_leads_to_a_new_snapshot(opened: OpenDatabase) -> None:
    """If entries were removed before they were read, or if the feed goes back, everything is read again."""
    got: list[Entry] = []
    async with migrated(opened) as database:
        await database.transaction(lambda tx: append_all(tx, [entry("first"), entry("left")]))
        follower = Follower(database, got.extend)
        await follower.catch_up()
        await database.transaction(lambda tx: append_all(tx, [entry("unread"), entry("last")]))
        await database.execute("delete from feed where key = 'unread'")
        await follower.catch_up()
        assert [entry.key for entry in got] == ["first", "left", "first", "left", "last"]
        await database.execute("delete from feed where seq > 1")
        await database.execute("update feed_head set seq = 1")
        got.clear()
        await follower.catch_up()
        assert [entry.key for entry in got] == ["first"]


async def a_new_generation_leads_to_a_new_snapshot(opened: OpenDatabase) -> None:
    """After a restore, numbers may be assigned a second time, so everything is read again."""
    got: list[Entry] = []
    async with migrated(opened) as database:
        await database.transaction(lambda tx: append_all(tx, [entry("before the backup")]))
        follower = Follower(database, got.extend)
        await follower.catch_up()
        was = await generation(database)
        assert await database.transaction(partial(raise_generation, now=was)) == was + 1
        assert await generation(database) == was + 1
        await follower.catch_up()
        assert got == [entry("before the backup")] * 2


async def two_restores_of_one_backup_are_two_generations(opened: OpenDatabase) -> None:
    """A follower of the first restore gets the second one's new entry, though its number was in both."""
    got: list[Entry] = []
    async with migrated(opened) as database:
        of_the_backup = await generation(database)
        follower = Follower(database, got.extend)
        for now, key in ((LATER, "first"), (LATER + 1, "second")):
            await database.execute("update store_generation set generation = $1", of_the_backup)
            await database.execute("delete from feed")
            await database.execute("update feed_head set seq = 0")
            assert await database.transaction(partial(raise_generation, now=now)) == now
            await database.transaction(partial(append_one, entry(key)))
            await follower.catch_up()
        assert got == [entry("first"), entry("second")]


async def only_expired_entries_are_swept(opened: OpenDatabase) -> None:
    """Entries are removed after their time, a bounded number at once. A follower continues without a new snapshot."""
    got: list[Entry] = []
    over = [Entry("session", str(index), 0, 1_000) for index in range(SWEEP_ROWS + 1)]
    async with migrated(opened) as database:
        await database.transaction(lambda tx: append_all(tx, [*over, entry("lives")]))
        follower = Follower(database, got.extend)
        await follower.catch_up()
        assert await database.transaction(lambda tx: sweep(tx, 999)) == 0
        assert await database.transaction(lambda tx: sweep(tx, 1_000)) == SWEEP_ROWS
        assert await database.transaction(lambda tx: sweep(tx, 1_000)) == 1
        assert await database.all("select key from feed") == [("lives",)]
        got.clear()
        await database.transaction(lambda tx: append_all(tx, [entry("new")]))
        await follower.catch_up()
        assert got == [entry("new")]


class Ticking:
    """A monotonic clock that stands still until the test advances it."""

    def __init__(self) -> None:
        self.seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


async def _is_last(got: Sequence[Entry], key: str) -> bool:
    return bool(got) and got[-1].key == key


async def _write(database: Database, writer: int) -> None:
    for value in range(EACH):
        entry = Entry("epoch", str(writer), value, LATER)
        await database.transaction(partial(append_one, entry))


@contextlib.asynccontextmanager
async def _following(database: Any, got: list[Entry], clock: Ticking | None = None) -> AsyncIterator[Follower]:
    """A follower that runs during the block and must still run at its end."""
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
    entries_are_in_commit_order,
    no_entry_is_visible_before_lower_numbers,
    entries_of_one_transaction_stay_together,
    a_rollback_leaves_no_gap,
    a_follower_is_updated_soon,
    a_follower_starts_with_a_snapshot,
    only_a_successful_read_makes_a_follower_fresh,
    entries_that_could_not_be_applied_are_read_again,
    a_gap_leads_to_a_new_snapshot,
    a_new_generation_leads_to_a_new_snapshot,
    two_restores_of_one_backup_are_two_generations,
    only_expired_entries_are_swept,
)
