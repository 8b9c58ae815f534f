"""`PostgresDatabase`: the `Database` port on a PostgreSQL server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, TypeVar

from ostiary.errors import StatementRefused, StoreUnavailable
from ostiary.store.bodies import refuse_inside_body
from ostiary.store.database import Body, Row, Value
from ostiary.store.postgres.connections import Connections, give_up
from ostiary.store.postgres.driver import asyncpg
from ostiary.store.postgres.failures import READ_ONLY_TRANSACTION, driver_errors, explained, sqlstate
from ostiary.store.postgres.job import Job
from ostiary.store.postgres.listener import Listener
from ostiary.store.postgres.transaction import as_row
from ostiary.store.postgres.url import parse
from ostiary.store.values import checked
from ostiary.store.writes import PROBE_PATIENCE, WriteHealth

T = TypeVar("T")


class PostgresDatabase:
    """Belongs to the event loop that opened it. With ``pooler=true`` in the URL, it points to a proxy that pools
    transactions, such as PgBouncer. Then no statement is cached, and changes in other processes are found only by
    polling."""

    def __init__(self, url: str) -> None:
        asyncpg()
        target = parse(url)
        self._pooler = target.pooler
        self._connections = Connections(target)
        self._listener = Listener(self._connections.connect)
        self._writes = WriteHealth()
        self._running: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        await self._connections.open()
        if not self._pooler:
            self._listener.start()

    async def close(self) -> None:
        if self._running:
            await asyncio.wait(self._running)
        await self._listener.stop()
        await self._connections.close()

    async def transaction(self, body: Body[T], *, patience: float | None = None) -> T:
        refuse_inside_body()
        job = Job(self._connections, body, patience=patience, announced=self._listener.announce)
        task = asyncio.create_task(job.run(), name="ostiary-transaction")
        self._running.add(task)
        task.add_done_callback(self._ended)
        try:
            await asyncio.wait([task])
        except BaseException:
            job.abandon()
            raise
        try:
            return task.result()
        except StoreUnavailable as failure:
            self._writes.failed(failure)
            raise

    async def execute(self, sql: str, *args: Value) -> int:
        return await self.transaction(lambda tx: tx.execute(sql, *args))

    async def one(self, sql: str, *args: Value) -> Row | None:
        values = checked(args)
        async with self._question() as connection:
            return as_row(await connection.fetchrow(sql, *values))

    async def few(self, sql: str, *args: Value) -> list[Row]:
        return await self.all(sql, *args)

    async def all(self, sql: str, *args: Value) -> list[Row]:
        values = checked(args)
        async with self._question() as connection:
            return list(map(tuple, await connection.fetch(sql, *values)))

    async def wait_for_change(self, timeout: float) -> None:
        """Behind a pooling proxy, only this process's own changes end the wait early."""
        await self._listener.wait(timeout)

    async def check_writes(self) -> None:
        self._connections.refuse_when_closed()
        await self._writes.check(partial(self.transaction, patience=PROBE_PATIENCE))

    async def now(self) -> int:
        ((now,),) = await self.all("select cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)")
        return int(now)

    @contextlib.asynccontextmanager
    async def _question(self) -> AsyncIterator[Any]:
        """A connection for reading. Behind a pooling proxy a session cannot have settings, so a read-only transaction
        prevents writes."""
        refuse_inside_body()
        async with self._connections.lend() as connection:
            try:
                if self._pooler:
                    async with connection.transaction(readonly=True):
                        yield connection
                else:
                    yield connection
            except driver_errors() as error:
                if sqlstate(error) == READ_ONLY_TRANSACTION:
                    raise StatementRefused("a statement outside a transaction may only read") from None
                raise explained(error, connection) from None
            except asyncio.CancelledError:
                raise  # asyncpg itself ends a cancelled statement correctly
            except BaseException:
                give_up(connection)  # an unread answer may still arrive on it
                raise

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as retrieved, because the caller may have been cancelled
