"""Reads outside transactions on SQLite: which of them run on the event loop, and which in the reader's thread."""

import asyncio
import threading
from contextlib import asynccontextmanager

import pytest

from ostiary.store.database import FEW
from ostiary.store.sqlite.database import SqliteDatabase

NUMBERS = "with recursive n (i) as (select 1 union all select i + 1 from n where i < $1) select i from n"


@asynccontextmanager
async def opened(path):
    database = SqliteDatabase(path)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("ostiary-reader")]


async def test_a_small_read_does_not_wait_for_a_thread(tmp_path):
    """The hop cost more than the read, and every request paid for it."""
    async with opened(tmp_path / "a.db") as database:
        assert len(await database.few(NUMBERS, FEW)) == FEW
        assert await database.one(NUMBERS, 1) == (1,)
        assert readers() == []


async def test_a_long_read_leaves_the_event_loop(tmp_path):
    """The loop reads at most a few rows itself, also if a statement finds more than its author expected."""
    async with opened(tmp_path / "a.db") as database:
        assert len(await database.few(NUMBERS, 100_000)) == 100_000
        assert len(readers()) == 1
        assert len(await database.all(NUMBERS, 10)) == 10


@pytest.mark.parametrize("count", [1, FEW + 1])
async def test_a_small_read_pins_no_snapshot(tmp_path, count):
    """A cursor that stays open would keep the log from being written back, and the next read would see old rows."""
    async with opened(tmp_path / "a.db") as database:
        await database.execute("create table counted (id bigint primary key)")
        for number in range(count):
            await database.execute("insert into counted (id) values ($1)", number)
        assert len(await database.few("select id from counted")) == count
        await database.execute("insert into counted (id) values ($1)", count)
        assert len(await database.few("select id from counted")) == count + 1
        busy, *_ = await asyncio.to_thread(_checkpoint, tmp_path / "a.db")
        assert busy == 0


def _checkpoint(path):
    import sqlite3

    connection = sqlite3.connect(path)
    try:
        return connection.execute("pragma wal_checkpoint(truncate)").fetchone()
    finally:
        connection.close()
