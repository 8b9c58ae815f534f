"""`SqliteDatabase`: the `Database` port on one file."""

import asyncio
import os
from functools import partial
from typing import Final, TypeVar

from ostiary.errors import StoreUnavailable
from ostiary.store.bodies import refuse_inside_body
from ostiary.store.database import FEW, Body, Row, Value
from ostiary.store.sqlite.connection import establish
from ostiary.store.sqlite.file import DatabaseFile
from ostiary.store.sqlite.reading import Reading
from ostiary.store.sqlite.session import Session
from ostiary.store.sqlite.writer import Writer
from ostiary.store.writes import PROBE_PATIENCE, WriteHealth

PATIENCE: Final = 5.0
"""Seconds to wait while other processes hold the lock."""

CHANGE_POLL: Final = 0.025
"""Seconds between two checks whether another process has committed. A check only reads shared memory."""

# SQLite's clock has a resolution of milliseconds. It does not advance within one statement.
NOW: Final = (
    "select cast(strftime('%s', 'now') as integer) * 1000000 + cast(substr(strftime('%f', 'now'), 4) as integer) * 1000"
)

T = TypeVar("T")


class SqliteDatabase:
    """Belongs to the event loop that opened it, and to one process: a child process opens its own."""

    def __init__(self, path: str | os.PathLike[str], *, patience: float = PATIENCE) -> None:
        self._file = DatabaseFile(path)
        self._writes = WriteHealth()
        self._patience = patience
        self._opened: tuple[Reading, Writer] | None = None
        self._next_commit: asyncio.Future[None] | None = None
        self._version_seen: int | None = None

    async def open(self) -> None:
        if self._opened is not None:
            raise RuntimeError("the database was already opened")
        await asyncio.to_thread(establish, self._file, patience=self._patience)
        reading = Reading(self._file, patience=self._patience)
        writer = Writer(Session(self._file), patience=self._patience, committed=self._on_commit)
        self._opened = (reading, writer)

    async def close(self) -> None:
        if self._opened is None:
            return
        reading, writer = self._opened
        await reading.close()
        await writer.close()  # last: the last connection to close writes the log back into the file, in a thread

    async def transaction(self, body: Body[T], *, patience: float | None = None) -> T:
        _, writer = self._parts()
        try:
            return await writer.run(body, patience=patience)
        except StoreUnavailable as failure:
            self._writes.failed(failure)
            raise

    async def execute(self, sql: str, *args: Value) -> int:
        return await self.transaction(lambda tx: tx.execute(sql, *args))

    async def one(self, sql: str, *args: Value) -> Row | None:
        found = await self._reading().inline(sql, args)
        return found[0] if found else None

    async def few(self, sql: str, *args: Value) -> list[Row]:
        found = await self._reading().inline(sql, args, most=FEW + 1)
        return found if len(found) <= FEW else await self.all(sql, *args)

    async def all(self, sql: str, *args: Value) -> list[Row]:
        return await self._reading().threaded(sql, args)

    async def wait_for_change(self, timeout: float) -> None:
        """Every commit counts as a change. A commit of this process ends the wait at once, that of another process
        within `CHANGE_POLL`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while not await self._has_changed() and (left := deadline - loop.time()) > 0:
            self._next_commit = self._next_commit or loop.create_future()
            committed, _ = await asyncio.wait([self._next_commit], timeout=min(left, CHANGE_POLL))
            if committed:
                return

    async def check_writes(self) -> None:
        _, writer = self._parts()
        writer.refuse_when_closed()
        self._file.verify()
        await self._writes.check(partial(self.transaction, patience=PROBE_PATIENCE))

    async def now(self) -> int:
        ((now,),) = await self._reading().inline(NOW, ())
        return int(now)

    async def _has_changed(self) -> bool:
        ((version,),) = await self._reading().inline("pragma data_version", ())
        seen, self._version_seen = self._version_seen, version
        return seen not in {None, version}

    def _on_commit(self) -> None:
        if self._next_commit is not None:
            self._next_commit.set_result(None)
            self._next_commit = None

    def _reading(self) -> Reading:
        refuse_inside_body()
        self._file.verify_sometimes()
        return self._parts()[0]

    def _parts(self) -> tuple[Reading, Writer]:
        if self._opened is None:
            raise StoreUnavailable("the database is not open")
        return self._opened
