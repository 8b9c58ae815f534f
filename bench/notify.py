"""Measures durable PostgreSQL transactions per second that wake other processes, with 1 and 4 processes.

    scripts/bench notify [--seconds 3] [--database postgresql://user:password@host/empty_database]

``silent``: an update of the caller's own row. ``announced``: the same, and it wakes every process. ``feed``: it appends
to the change feed, as every revocation does, and every process follows the feed. Each process has 16 callers. Without
``--database``, a PostgreSQL with fsync runs below the temporary folder (TMPDIR chooses the disk).
"""

import argparse
import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from _servers import postgres

from ostiary.core.entropy import SystemRandom
from ostiary.store.database import Database, Transaction
from ostiary.store.feed import Entry, Follower, append
from ostiary.store.migrations import migrate
from ostiary.store.open import database_from_url

NODES: Final = (1, 4)
CALLERS: Final = 16
LATER: Final = 4_000_000_000_000_000
START_SECONDS: Final = 2.0


async def _silent(tx: Transaction, row: int) -> None:
    await tx.execute("update bench_row set n = n + 1 where id = $1", row)


async def _announced(tx: Transaction, row: int) -> None:
    await _silent(tx, row)
    await tx.announce()


async def _feed(tx: Transaction, row: int) -> None:
    await _silent(tx, row)
    await append(tx, [Entry("session", f"ses_{row}", 0, LATER)], random=SystemRandom())


LOADS: Final[dict[str, Callable[[Transaction, int], Awaitable[None]]]] = {
    "silent": _silent,
    "announced": _announced,
    "feed": _feed,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--database")
    chosen = parser.parse_args()
    if chosen.database:
        _report(chosen.database, chosen.seconds)
    else:
        with postgres() as create:
            _report(create("bench_notify"), chosen.seconds)


def _report(url: str, seconds: float) -> None:
    asyncio.run(_prepare(url))
    print(f"{'transactions a second':24}" + "".join(f"{nodes} processes".rjust(14) for nodes in NODES))
    for load in LOADS:
        rates = [_rate(url, load, nodes, seconds) for nodes in NODES]
        print(f"{load:24}" + "".join(f"{rate:14,.0f}" for rate in rates))


def _rate(url: str, load: str, nodes: int, seconds: float) -> float:
    start = time.monotonic() + START_SECONDS
    processes = multiprocessing.get_context("spawn")
    with processes.Pool(nodes) as pool:
        done = pool.starmap(_node, [(url, load, node, start, seconds) for node in range(nodes)])
    return sum(done) / seconds


def _node(url: str, load: str, node: int, start: float, seconds: float) -> int:
    return asyncio.run(_count(url, load, node, start, seconds))


async def _count(url: str, load: str, node: int, start: float, seconds: float) -> int:
    database = database_from_url(url)
    await database.open()
    follower = Follower(database, lambda _: None)
    await follower.catch_up()
    following = asyncio.create_task(follower.run())
    await asyncio.sleep(max(0.0, start - time.monotonic()))
    try:
        rows = range(node * CALLERS, (node + 1) * CALLERS)
        return sum(await asyncio.gather(*(_call(database, LOADS[load], row, start + seconds) for row in rows)))
    finally:
        await follower.end(following)
        await database.close()


async def _call(database: Database, body: Callable[[Transaction, int], Awaitable[None]], row: int, end: float) -> int:
    count = 0
    while time.monotonic() < end:
        await database.transaction(partial(_with_row, body, row))
        count += 1
    return count


async def _with_row(body: Callable[[Transaction, int], Awaitable[None]], row: int, tx: Transaction) -> None:
    await body(tx, row)


async def _prepare(url: str) -> None:
    database = database_from_url(url)
    await database.open()
    await migrate(database, [])
    await database.execute("create table bench_row (id bigint primary key, n bigint not null)")
    for row in range(max(NODES) * CALLERS):
        await database.execute("insert into bench_row (id, n) values ($1, 0)", row)
    await database.close()


if __name__ == "__main__":
    main()
