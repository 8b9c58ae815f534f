"""Measures durable transactions of two statements and reads per second, with one caller and with 64 callers.

    scripts/bench store [--seconds 2] [--database postgresql://user:password@host/empty_database]

SQLite runs with synchronous=FULL in its own file below the temporary folder (TMPDIR chooses the disk), so every counted
transaction is on that disk. PostgreSQL runs as its server is configured. Its database must be empty and is left empty.
"""

import argparse
import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from ostiary.store.database import Database, Transaction
from ostiary.store.open import database_from_url

CALLERS: Final = (1, 64)


class Speed(NamedTuple):
    """How many operations were done per second."""

    what: str
    callers: int
    a_second: float


async def measure(database: Database, *, seconds: float) -> list[Speed]:
    """Each transaction updates a row of its caller with a guard and inserts a row, the minimum that a rotation does."""
    async with _tables(database):
        numbers = itertools.count()

        async def write(caller: int) -> None:
            async def body(tx: Transaction) -> None:
                await tx.one("update bench_row set n = n + 1 where id = $1 and n >= 0 returning n", caller)
                await tx.execute("insert into bench_event (id, words) values ($1, 'something happened')", next(numbers))

            await database.transaction(body)

        async def ask(caller: int) -> None:
            await database.one("select n from bench_row where id = $1", caller)

        works = (("transactions", write), ("reads", ask))
        return [
            Speed(what, callers, await _rate(work, callers, seconds)) for what, work in works for callers in CALLERS
        ]


async def _rate(work: Callable[[int], Awaitable[None]], callers: int, seconds: float) -> float:
    started = time.perf_counter()

    async def call(caller: int) -> int:
        for done in itertools.count(1):
            await work(caller)
            if done % 64 == 0:
                await asyncio.sleep(0)  # a read on SQLite never yields to the event loop
            if time.perf_counter() - started > seconds:
                return done
        raise AssertionError

    done = sum(await asyncio.gather(*map(call, range(callers))))
    return done / (time.perf_counter() - started)


@asynccontextmanager
async def _tables(database: Database) -> AsyncIterator[None]:
    await database.execute("create table bench_row (id bigint primary key, n bigint not null)")
    await database.execute("create table bench_event (id bigint primary key, words text not null)")
    try:
        for caller in range(max(CALLERS)):
            await database.execute("insert into bench_row (id, n) values ($1, 0)", caller)
        yield
    finally:
        await database.execute("drop table bench_event")
        await database.execute("drop table bench_row")


async def _report(name: str, url: str, *, seconds: float) -> None:
    database = database_from_url(url)
    await database.open()
    try:
        for speed in await measure(database, seconds=seconds):
            print(f"{name:<12} {speed.what:<14} {speed.callers:>3} callers {speed.a_second:>12,.0f} /s")
    finally:
        await database.close()


def _sync_time(folder: Path) -> float:
    """Returns the seconds that one small write and its sync take, the lower bound for one caller's transaction."""
    file = os.open(folder / "sync", os.O_CREAT | os.O_WRONLY)
    started = time.perf_counter()
    for at in range(100):
        os.pwrite(file, b"x" * 4096, at * 4096)
        os.fsync(file)
    taken = (time.perf_counter() - started) / 100
    os.close(file)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--database")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(f"one write and its fsync in {folder}: {_sync_time(Path(folder)) * 1e6:,.0f} µs")
        asyncio.run(_report("SQLite", f"sqlite:///{folder}/bench.db", seconds=arguments.seconds))
    if arguments.database:
        asyncio.run(_report("PostgreSQL", arguments.database, seconds=arguments.seconds))


if __name__ == "__main__":
    main()
