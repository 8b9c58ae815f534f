"""The `Transaction` of one body, on one connection."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from ostiary.store.bodies import Scope
from ostiary.store.database import Row, Value
from ostiary.store.postgres.connections import give_up
from ostiary.store.postgres.failures import READ_ONLY_TRANSACTION, driver_errors, explained, sqlstate
from ostiary.store.values import checked

_COUNTED: Final = {"INSERT", "UPDATE", "DELETE"}

T = TypeVar("T")


class PostgresTransaction:
    __slots__ = ("_connection", "_patience", "_scope", "announced")

    def __init__(self, connection: Any, scope: Scope, *, patience: float | None) -> None:
        self._connection = connection
        self._scope = scope
        self._patience = patience
        self.announced = False

    async def one(self, sql: str, *args: Value) -> Row | None:
        return as_row(await self._run(self._connection.fetchrow, sql, args))

    async def few(self, sql: str, *args: Value) -> list[Row]:
        return await self.all(sql, *args)

    async def all(self, sql: str, *args: Value) -> list[Row]:
        return list(map(tuple, await self._run(self._connection.fetch, sql, args)))

    async def execute(self, sql: str, *args: Value) -> int:
        return touched(await self._run(self._connection.execute, sql, args))

    async def lock(self, name: str) -> None:
        """A lock that ends with the transaction. Other kinds would stay on the server behind a pooling proxy."""
        await self._run(self._connection.fetchrow, "select pg_advisory_xact_lock($1)", (lock_key(name),))

    async def announce(self) -> None:
        self._scope.admit()
        self.announced = True

    async def _run(self, statement: Callable[..., Awaitable[T]], sql: str, args: Sequence[Value]) -> T:
        self._scope.admit()
        values = checked(args)
        self._scope.under_way = True
        try:
            return await statement(sql, *values, timeout=self._patience)
        except driver_errors() as error:
            self._scope.failure = explained(error, self._connection)
            if sqlstate(error) == READ_ONLY_TRANSACTION:
                give_up(self._connection)  # a primary that was demoted: the next connection looks for the new one
            raise self._scope.failure from None
        finally:
            self._scope.under_way = False


def as_row(record: Any) -> Row | None:
    """A tuple, as the other engine returns."""
    return None if record is None else tuple(record)


def touched(tag: str) -> int:
    """The number in a command tag such as ``INSERT 0 3``; 0 for statements that change no rows."""
    verb, _, counts = tag.partition(" ")
    return int(counts.rpartition(" ")[2]) if verb in _COUNTED else 0


def lock_key(name: str) -> int:
    """The int64 for the lock in PostgreSQL. If two names collide, their transactions only wait for each other."""
    return int.from_bytes(hashlib.sha256(f"ostiary lock {name}".encode()).digest()[:8], signed=True)
