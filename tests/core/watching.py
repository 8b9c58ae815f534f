"""A database that reports its statements and can be made to fail."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from ostiary.store.database import Body, Row, Value

T = TypeVar("T")

Seen: TypeAlias = Callable[[str], None]
"""Gets every statement before it runs. If it raises, the statement raises."""


class Watched:
    def __init__(self, inner: Any, seen: Seen) -> None:
        self._inner = inner
        self._seen = seen

    async def one(self, sql: str, *args: Value) -> Row | None:
        self._seen(sql)
        return await self._inner.one(sql, *args)

    async def few(self, sql: str, *args: Value) -> list[Row]:
        self._seen(sql)
        return await self._inner.few(sql, *args)

    async def all(self, sql: str, *args: Value) -> list[Row]:
        self._seen(sql)
        return await self._inner.all(sql, *args)

    async def execute(self, sql: str, *args: Value) -> int:
        self._seen(sql)
        return await self._inner.execute(sql, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class WatchedTransaction(Watched): ...


class WatchedDatabase(Watched):
    async def transaction(self, body: Body[T], *, patience: float | None = None) -> T:
        self._seen("begin")
        return await self._inner.transaction(lambda tx: body(WatchedTransaction(tx, self._seen)), patience=patience)
