"""Reads outside transactions: small reads inline on the event loop, lists in a thread."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from ostiary.errors import OstiaryError, StatementRefused, StoreUnavailable
from ostiary.store.database import Row, Value
from ostiary.store.pauses import pauses
from ostiary.store.sqlite.connection import ENGINE_ERRORS, connect, disconnect, explained, insist, is_busy
from ostiary.store.sqlite.file import DatabaseFile
from ostiary.store.sqlite.statement import bound, first_rows, rows


class ReadingConnection:
    """A read-only connection. It is opened when it is first needed, and again after it has failed."""

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None

    def rows(self, sql: str, parameters: dict[str, Value], most: int | None = None) -> list[Row]:
        if self._connection is None:
            self._connection = connect(self._file, reading=True)
        try:
            if most is None:
                return rows(self._connection, sql, parameters)
            return first_rows(self._connection, sql, parameters, most)
        except ENGINE_ERRORS as error:
            if isinstance(_explained(error), StoreUnavailable) and not is_busy(error):
                self.discard()
            raise

    def discard(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            disconnect(connection, self._file)


class Reading:
    """In WAL mode readers never block a writer. They find the file busy only during a recovery."""

    def __init__(self, file: DatabaseFile, *, patience: float) -> None:
        self._patience = patience
        self._inline = ReadingConnection(file)
        self._threaded = ReadingConnection(file)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ostiary-reader")
        self._closed = False

    async def inline(self, sql: str, args: Sequence[Value], *, most: int | None = None) -> list[Row]:
        """The rows, or the first ``most`` of them."""
        parameters = bound(args)
        waits: Iterator[float] | None = None
        while True:
            self._refuse_when_closed()
            try:
                return self._inline.rows(sql, parameters, most)
            except ENGINE_ERRORS as error:
                waits = waits or pauses(self._patience)
                pause = next(waits, None) if is_busy(error) else None
                if pause is None:
                    raise _explained(error) from error
            await asyncio.sleep(pause)

    async def threaded(self, sql: str, args: Sequence[Value]) -> list[Row]:
        self._refuse_when_closed()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._insist, sql, bound(args))
        except ENGINE_ERRORS as error:
            raise _explained(error) from error

    async def close(self) -> None:
        """Closes after the reads in the thread have finished."""
        if self._closed:
            return
        self._closed = True
        self._inline.discard()
        self._thread.submit(self._threaded.discard)
        await asyncio.to_thread(self._thread.shutdown)

    def _insist(self, sql: str, parameters: dict[str, Value]) -> list[Row]:
        return insist(lambda: self._threaded.rows(sql, parameters), self._patience)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise StoreUnavailable("the database is closed")


def _explained(error: BaseException) -> OstiaryError:
    """A write on a read-only connection is the statement's fault. It does not mean that the disk is not writable."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY:
        return StatementRefused("a statement outside a transaction may only read")
    return explained(error)
