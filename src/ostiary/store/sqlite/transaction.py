"""The `Transaction` of one body: statements on the writer's connection, inside the body's savepoint."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from ostiary.store.bodies import Scope
from ostiary.store.database import Row, Value
from ostiary.store.sqlite.connection import ENGINE_ERRORS, explained
from ostiary.store.sqlite.statement import bound, rows, touched

T = TypeVar("T")

_Statement: TypeAlias = Callable[[sqlite3.Connection, str, dict[str, Value]], T]


class SqliteTransaction:
    """Its methods are coroutines that never suspend."""

    __slots__ = ("_connection", "_scope")

    def __init__(self, connection: sqlite3.Connection, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope

    async def one(self, sql: str, *args: Value) -> Row | None:
        found = self._run(rows, sql, args)
        return found[0] if found else None

    async def few(self, sql: str, *args: Value) -> list[Row]:
        return self._run(rows, sql, args)

    async def all(self, sql: str, *args: Value) -> list[Row]:
        return self._run(rows, sql, args)

    async def execute(self, sql: str, *args: Value) -> int:
        return self._run(touched, sql, args)

    async def lock(self, name: str) -> None:  # noqa: ARG002 — the write lock of the whole file is held already
        self._scope.admit()

    async def announce(self) -> None:
        self._scope.admit()  # every commit is seen in `data_version`

    def _run(self, statement: _Statement[T], sql: str, args: Sequence[Value]) -> T:
        self._scope.admit()
        parameters = bound(args)
        try:
            return statement(self._connection, sql, parameters)
        except ENGINE_ERRORS as error:
            self._scope.failure = explained(error)
            raise self._scope.failure from error
