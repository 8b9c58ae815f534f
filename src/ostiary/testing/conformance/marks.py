"""The change feed after a failover that lost its newest entries, and next to a version that knows no marks."""

import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from ostiary.store.database import Database
from ostiary.store.feed import Entry, Follower, Portion, Position, read_after, sweep
from ostiary.testing.conformance.feeding import LATER, append_all, append_one, entry, migrated
from ostiary.testing.conformance.opening import DatabaseCheck, OpenDatabase


async def a_history_that_forks_and_overtakes_leads_to_a_new_snapshot(opened: OpenDatabase) -> None:
    """After a failover lost entries, others get their numbers. A follower reads them, however many there are, and
    continues without further snapshots."""
    for overtaking in (["new 3"], ["new 3", "new 4"], ["new 3", "new 4", "new 5", "new 6"]):
        got: list[Entry] = []
        async with _emptied(opened) as database:
            follower = Follower(database, got.extend)
            await _append_each(database, "1", "2", "old 3", "old 4")
            await follower.catch_up()
            await _lose_after(database, 2)
            await _append_each(database, *overtaking)
            got.clear()
            await follower.catch_up()
            assert [entry.key for entry in got] == ["1", "2", *overtaking]
            got.clear()
            await _append_each(database, "last")
            await follower.catch_up()
            assert [entry.key for entry in got] == ["last"]


async def numbers_that_were_lost_are_not_assigned_again(opened: OpenDatabase) -> None:
    """A follower that has read further than the database reaches skips the lost numbers, for remote followers."""
    got: list[Entry] = []
    async with migrated(opened) as database:
        follower = Follower(database, got.extend)
        await _append_each(database, "1", "2", "old 3", "old 4")
        await follower.catch_up()
        await _lose_after(database, 2)
        await follower.catch_up()
        await _append_each(database, "5")
        got.clear()
        await follower.catch_up()
        assert [entry.key for entry in got] == ["5"]
        assert await database.all("select seq from feed order by seq") == [(1,), (2,), (5,)]


async def a_remote_follower_gets_a_snapshot_after_a_fork(opened: OpenDatabase) -> None:
    """Its position in the lost history, wherever it was, is none of the new history. One before the fork still is."""
    async with migrated(opened) as database:
        await _append_each(database, "1", "2", "old 3", "old 4")
        portions = {count: await read_after(database, None, limit=count) for count in (1, 2, 3, 4)}
        await _lose_after(database, 2)
        for new in ("new 3", "new 4", "new 5"):
            await _append_each(database, new)
            for count, portion in portions.items():
                found = await read_after(database, portion.last, limit=100)
                assert (found.start == portion.last) is (count <= 2), (new, count)
                assert _keys(found)[-1] == new
                assert "1" in _keys(found) or count <= 2


async def a_position_without_a_mark_is_only_a_number(opened: OpenDatabase) -> None:
    """A remote follower of a version without marks continues as before."""
    async with migrated(opened) as database:
        await _append_each(database, "1", "2")
        end = (await read_after(database, None, limit=9)).end
        found = await read_after(database, Position(end.generation, 1), limit=9)
        assert (found.start, _keys(found)) == (Position(end.generation, 1), ["2"])
        assert found.last == end


async def entries_without_marks_are_read_too(opened: OpenDatabase) -> None:
    """A process of a version without marks appends to the same feed. No follower misses its entries, and none begins
    again because of them."""
    got: list[Entry] = []
    async with migrated(opened) as database:
        follower = Follower(database, got.extend)
        await follower.catch_up()
        remote = (await read_after(database, None, limit=1)).last
        for number in range(1, 7):
            if number % 3 == 0:
                await database.transaction(partial(append_one, entry(str(number))))
            else:
                await database.execute("update feed_head set seq = seq + 1")
                await database.execute(
                    "insert into feed (seq, kind, key, value, until) values ($1, 'session', $2, 0, $3)",
                    number,
                    str(number),
                    LATER,
                )
            await follower.catch_up()
            portion = await read_after(database, remote, limit=1)
            assert (portion.start, _keys(portion)) == (remote, [str(number)])
            remote = portion.last
        assert [entry.key for entry in got] == ["1", "2", "3", "4", "5", "6"]


async def readers_continue_after_the_cleanup_of_what_they_read(opened: OpenDatabase) -> None:
    """If every entry has expired, cleanup keeps the row and the mark of the newest, but not its content."""
    got: list[Entry] = []
    async with migrated(opened) as database:
        over = [Entry("session", str(index), 0, 1_000) for index in range(3)]
        await database.transaction(lambda tx: append_all(tx, over))
        follower = Follower(database, got.extend)
        await follower.catch_up()
        remote = (await read_after(database, None, limit=9)).last
        assert await database.transaction(lambda tx: sweep(tx, 1_000)) == 2
        assert await database.all("select seq, kind, key from feed") == [(3, "emptied", "")]
        await _append_each(database, "new")
        got.clear()
        await follower.catch_up()
        assert got == [entry("new")]
        portion = await read_after(database, remote, limit=9)
        assert (portion.start, _keys(portion)) == (remote, ["new"])


async def _append_each(database: Database, *keys: str) -> None:
    for key in keys:
        await database.transaction(partial(append_one, entry(key)))


async def _lose_after(database: Database, seq: int) -> None:
    """What a failover to a standby does that has not received the newest entries."""
    await database.execute("delete from feed where seq > $1", seq)
    await database.execute("update feed_head set seq = $1", seq)


def _keys(portion: Portion) -> list[str]:
    return [entry.key for entry in portion.entries]


@contextlib.asynccontextmanager
async def _emptied(opened: OpenDatabase) -> AsyncIterator[Database]:
    """The same database again, with an empty feed."""
    async with migrated(opened) as database:
        await _lose_after(database, 0)
        yield database


MARK_CHECKS: Final[tuple[DatabaseCheck, ...]] = (
    a_history_that_forks_and_overtakes_leads_to_a_new_snapshot,
    numbers_that_were_lost_are_not_assigned_again,
    a_remote_follower_gets_a_snapshot_after_a_fork,
    a_position_without_a_mark_is_only_a_number,
    entries_without_marks_are_read_too,
    readers_continue_after_the_cleanup_of_what_they_read,
)
