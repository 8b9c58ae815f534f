"""The change feed's follower, and what it logs."""

import asyncio
import secrets
from contextlib import asynccontextmanager

import pytest

from ostiary.store.feed import Entry, Follower, append, sweep
from ostiary.store.migrations import migrate
from ostiary.store.sqlite.database import SqliteDatabase
from tests.logged import written


class Broken:
    """A database whose driver quotes parameters in its errors."""

    def __init__(self):
        self.asked = asyncio.Event()

    async def few(self, _sql, *_args):
        raise AssertionError("nothing was read before")

    async def all(self, _sql, *_args):
        self.asked.set()
        raise ValueError("invalid input for query argument $1: 'hunter2'")


async def test_a_failed_read_is_logged_with_its_place_and_without_its_message(caplog):
    database = Broken()
    follower = Follower(database, list)
    run = asyncio.create_task(follower.run())
    await database.asked.wait()
    await asyncio.sleep(0)
    await follower.end(run)
    assert "builtins.ValueError" in written(caplog)
    assert "test_feed.py" in written(caplog)
    assert "hunter2" not in written(caplog)


class Chance:
    def token(self, size):
        return secrets.token_bytes(size)


async def add(database, key):
    await database.transaction(lambda tx: append(tx, [Entry("session", key, 0, 1000)], random=Chance()))


async def clean_up(database):
    await database.transaction(lambda tx: sweep(tx, 2000))


async def clean_up_as_before_marks(database):
    """An older version also removes the newest row."""
    await database.execute("delete from feed where until <= 2000")


@asynccontextmanager
async def followed(path):
    database = SqliteDatabase(path)
    await database.open()
    try:
        await migrate(database, [])
        await add(database, "1")
        await add(database, "2")
        got = []
        follower = Follower(database, got.extend)
        await follower.catch_up()
        got.clear()
        yield database, follower, got
    finally:
        await database.close()


@pytest.mark.parametrize("cleaning", [clean_up, clean_up_as_before_marks])
async def test_a_cleanup_of_what_was_read_is_no_lost_history(tmp_path, caplog, cleaning):
    """The row where the follower is may be gone when it reads again. It reads everything, without an alarm."""
    async with followed(tmp_path / "a.db") as (database, follower, got):
        await add(database, "3")
        await cleaning(database)
        await add(database, "4")
        await follower.catch_up()
        assert got[-1].key == "4"
        assert "feed.history_changed" not in written(caplog)


@pytest.mark.parametrize("since", [0, 1, 2])
async def test_a_lost_history_is_logged(tmp_path, caplog, since):
    async with followed(tmp_path / "a.db") as (database, follower, _):
        await database.execute("delete from feed where seq = 2")
        await database.execute("update feed_head set seq = 1")
        for number in range(since):
            await add(database, f"new {number}")
        await follower.catch_up()
        assert [record.message for record in caplog.records] == ["feed.history_changed"]
