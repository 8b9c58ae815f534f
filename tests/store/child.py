"""A separate process on an SQLite file: ``increment FILE CALLERS TIMES`` or ``insert FILE CALLERS``."""

import asyncio
import json
import sys
import time
from functools import partial

from ostiary.store.sqlite.database import SqliteDatabase


async def increment(database, callers, times):
    """Increments a row, then prints how often, how long it took, and the longest stall of the event loop."""

    async def body(tx):
        (n,) = await tx.one("update counted set n = n + 1 where id = 1 returning n")
        await tx.execute("insert into taken (n) values ($1)", n)

    async def caller():
        for _ in range(times):
            await database.transaction(body)

    stalls = asyncio.create_task(longest_stall())
    started = time.monotonic()
    await asyncio.gather(*(caller() for _ in range(callers)))
    seconds = time.monotonic() - started
    stalls.cancel()
    print(json.dumps({"done": callers * times, "stall": await stalls, "seconds": seconds}))


async def insert(database, callers):
    """Inserts two rows at a time until it is killed, and prints each number whose commit was confirmed."""
    numbers = iter(range(1, 1_000_000_000))

    async def caller():
        while True:
            number = next(numbers)
            await database.transaction(partial(put, number))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    await asyncio.gather(*(caller() for _ in range(callers)))


async def put(number, tx):
    await tx.execute("insert into kept (id) values ($1)", number)
    await tx.execute("insert into kept (id) values ($1)", -number)


async def longest_stall():
    longest = 0.0
    try:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.001)
            longest = max(longest, time.monotonic() - before - 0.001)
    except asyncio.CancelledError:
        return longest


async def main(verb, path, *numbers):
    database = SqliteDatabase(path, patience=30)
    await database.open()
    await {"increment": increment, "insert": insert}[verb](database, *map(int, numbers))
    await database.close()


asyncio.run(main(*sys.argv[1:]))
