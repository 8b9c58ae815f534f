"""Listeners: functions of the application that hear about events after the commit.

Each event goes to its listeners in a task of its own that no caller waits for, so that a listener changes neither the
answer nor its timing. It is delivered in the process that acted, at most once. A listener that fails is logged.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, TypeVar, cast

from ostiary.store.database import Body, Database, Transaction
from ostiary.trace import trace

_LOG: Final = logging.getLogger("ostiary.listeners")

Listener: TypeAlias = Callable[[Any], Awaitable[None]]
"""Takes the recorded event."""

_MOST: Final = 1000
"""Listeners at work at the same time. Beyond, events are dropped."""

_PATIENCE: Final = 5.0
"""Seconds that closing waits for listeners. Later they are cancelled."""

T = TypeVar("T")


class Listeners:
    """Who listens to which type of event."""

    def __init__(self) -> None:
        self._of_type: defaultdict[str, list[Listener]] = defaultdict(list)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_dropping = False

    def add(self, type_: str, listener: Listener) -> None:
        self._of_type[type_].append(listener)

    def want(self, type_: str) -> bool:
        return type_ in self._of_type

    def __bool__(self) -> bool:
        return bool(self._of_type)

    def tell(self, type_: str, event: Any) -> None:
        """Starts the listeners of the type. Returns at once."""
        for listener in self._of_type.get(type_, ()):
            if len(self._tasks) >= _MOST:
                self._drop(type_)
                return
            self._is_dropping = False
            task = asyncio.create_task(_called(listener, type_, event), name="ostiary-listener")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Waits a while for listeners that are at work, and for those that they cause, then cancels them."""
        loop = asyncio.get_running_loop()
        # tasks of a loop that is gone will never end
        self._tasks.difference_update([task for task in self._tasks if task.get_loop() is not loop])
        deadline = loop.time() + _PATIENCE
        while self._tasks and (left := deadline - loop.time()) > 0:
            await asyncio.wait(set(self._tasks), timeout=left)
        late = list(self._tasks)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _drop(self, type_: str) -> None:
        """Anybody can cause some events, such as failed sign-ins: slow listeners must not fill the memory. One line for
        each time that it begins, so that they do not fill the log either."""
        if not self._is_dropping:
            self._is_dropping = True
            _LOG.error("listener.dropped", extra={"type": type_, "waiting": len(self._tasks)})


def listened(database: Database, listeners: Listeners) -> Database:
    """The same database, whose transactions tell ``listeners`` after the commit what `announce` was given."""
    return cast("Database", _Listened(database, listeners))


def announce(tx: Transaction, type_: str, event: Callable[[], Any]) -> None:
    """Within a transaction: tells the listeners of the type after the commit, if there are any."""
    noting = getattr(tx, "note", None)  # a transaction that nobody listens to has no such method
    if noting is not None:
        noting(type_, event)


class _Listened:
    """What costs nothing while nobody listens: reads go to the database itself."""

    def __init__(self, inner: Database, listeners: Listeners) -> None:
        self._inner = inner
        self._listeners = listeners
        self.one, self.few, self.all, self.execute = inner.one, inner.few, inner.all, inner.execute

    async def transaction(self, body: Body[T], *, patience: float | None = None) -> T:
        if not self._listeners:
            return await self._inner.transaction(body, patience=patience)
        notes: list[tuple[str, Any]] = []

        async def noted(tx: Transaction) -> T:
            notes.clear()  # the engine may run a body again
            return await body(cast("Transaction", _Noting(tx, notes, self._listeners)))

        result = await self._inner.transaction(noted, patience=patience)
        for type_, event in notes:
            self._listeners.tell(type_, event)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Noting:
    def __init__(self, inner: Transaction, notes: list[tuple[str, Any]], listeners: Listeners) -> None:
        self._inner = inner
        self._notes = notes
        self._listeners = listeners
        self.one, self.few, self.all, self.execute = inner.one, inner.few, inner.all, inner.execute

    def note(self, type_: str, event: Callable[[], Any]) -> None:
        if self._listeners.want(type_):
            self._notes.append((type_, event()))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


async def _called(listener: Listener, type_: str, event: Any) -> None:
    try:
        await listener(event)
    except (Exception, SystemExit) as problem:  # noqa: BLE001 — the application's own code must harm nobody
        name = getattr(listener, "__qualname__", repr(listener))
        _LOG.error("listener.failed", extra={"type": type_, "listener": name, "error": trace(problem)})
