"""What the checks of the change feed share."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

from ostiary.core.entropy import SystemRandom
from ostiary.store.database import Database, Transaction
from ostiary.store.feed import Entry, append
from ostiary.store.migrations import migrate
from ostiary.testing.conformance.opening import OpenDatabase

LATER: Final = 4_000_000_000_000_000
"""A time in the future, in microseconds."""


def entry(key: str) -> Entry:
    return Entry("session", key, 0, LATER)


async def append_all(tx: Transaction, entries: Sequence[Entry]) -> int:
    return await append(tx, entries, random=SystemRandom())


async def append_one(entry: Entry, tx: Transaction) -> int:
    return await append_all(tx, [entry])


@contextlib.asynccontextmanager
async def migrated(opened: OpenDatabase) -> AsyncIterator[Database]:
    async with opened() as database:
        await migrate(database, [])
        yield database
