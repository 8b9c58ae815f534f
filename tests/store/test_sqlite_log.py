"""The write-ahead log: a reader that stays open cannot make it grow unnoticed, and does not leave it large."""

import sqlite3
from contextlib import asynccontextmanager, closing

import pytest

from ostiary.store.sqlite import connection, log
from ostiary.store.sqlite.database import SqliteDatabase
from ostiary.store.sqlite.log import log_size
from tests.logged import written

WRITES = 600
WIDTH = 20_000


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(connection, "KEPT_LOG", 4_500_000)
    monkeypatch.setattr(log, "LARGE_LOG", 6_000_000)


@asynccontextmanager
async def opened(path):
    database = SqliteDatabase(path)
    await database.open()
    await database.execute("create table kept (id bigint primary key, words text not null)")
    try:
        yield database
    finally:
        await database.close()


async def write(database, numbers):
    async def body(tx):
        for number in numbers:
            await tx.execute("insert into kept (id, words) values ($1, $2)", number, "x" * WIDTH)

    await database.transaction(body)


async def fill(database, first):
    for start in range(first, first + WRITES, 20):
        await write(database, range(start, start + 20))


async def test_without_a_reader_the_log_starts_again(tmp_path, caplog):
    path = tmp_path / "a.db"
    async with opened(path) as database:
        await fill(database, 0)
        assert 0 < log_size(path) < 6_000_000
    assert "log_grows" not in written(caplog)


async def test_a_reader_that_stays_open_is_reported_and_leaves_a_small_log(tmp_path, caplog):
    """SQLite cannot start the log again while a reader sees an old state. Each doubling is reported once."""
    path = tmp_path / "a.db"
    async with opened(path) as database:
        await fill(database, 0)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("begin")
            reader.execute("select count(*) from kept").fetchall()
            await fill(database, WRITES)
            await fill(database, 2 * WRITES)
        grown = log_size(path)
        assert grown > 20_000_000
        assert 1 <= written(caplog).count('"event": "sqlite.log_grows"') <= 3
        await fill(database, 3 * WRITES)
        assert log_size(path) <= 6_000_000


def test_a_database_without_a_log_has_no_size(tmp_path):
    assert log_size(tmp_path / "a.db") == 0
