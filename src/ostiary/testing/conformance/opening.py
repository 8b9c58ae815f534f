"""The types of checks, and their shared helpers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeAlias

from ostiary.store.database import Database
from ostiary.store.hot import Hot

OpenDatabase: TypeAlias = Callable[[], AbstractAsyncContextManager[Database]]
OpenHot: TypeAlias = Callable[[], AbstractAsyncContextManager[Hot]]

DatabaseCheck: TypeAlias = Callable[[OpenDatabase], Awaitable[None]]
HotCheck: TypeAlias = Callable[[OpenHot], Awaitable[None]]

EVENTUALLY: Final = 5.0
"""A time limit in seconds for something that takes a quarter of a second."""


def name_of(check: Any) -> str:
    """The check's name, for the ids of a parametrized test."""
    return str(check.__name__)


@contextlib.contextmanager
def raising(expected: type[BaseException]) -> Iterator[list[BaseException]]:
    """Fails unless the block raises exactly this class of error. The list then contains the error."""
    raised: list[BaseException] = []
    try:
        yield raised
    except BaseException as error:
        if type(error) is not expected:
            raise
        raised.append(error)
    assert raised, f"nothing raised {expected.__name__}"


@contextlib.asynccontextmanager
async def counted(opened: OpenDatabase) -> AsyncIterator[Database]:
    """A database with the rows 1, 2 and 3 in the table ``counted``, each with an ``n`` of 0."""
    async with opened() as database:
        await database.execute("create table counted (id bigint primary key, n bigint not null)")
        await database.execute("insert into counted (id, n) values (1, 0), (2, 0), (3, 0)")
        yield database


async def number(database: Database, row: int) -> int:
    """The ``n`` of a row of ``counted``."""
    found = await database.one("select n from counted where id = $1", row)
    assert found is not None
    return int(found[0])


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits until the condition holds. Raises TimeoutError if it does not in time."""
    async with asyncio.timeout(EVENTUALLY):
        while not await condition():  # noqa: ASYNC110 — another process changes it
            await asyncio.sleep(0.005)
