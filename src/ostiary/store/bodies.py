"""Rules for a transaction's body on both engines: it awaits only its transaction, and ends at its first error."""

from collections.abc import Awaitable, Coroutine, Generator
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Generic, TypeVar

from ostiary.store.database import Body, Transaction

FOREIGN_AWAIT: Final = "the body of a transaction may only await its Transaction"

T = TypeVar("T")


class Scope:
    """The state of a body: whether its transaction still accepts statements, and whether one is running."""

    __slots__ = ("ended", "failure", "under_way")

    def __init__(self) -> None:
        self.ended = False
        self.failure: Exception | None = None
        self.under_way = False

    def admit(self) -> None:
        """Raises RuntimeError if the transaction cannot start another statement now."""
        if self.ended:
            raise RuntimeError("the transaction has already ended")
        if self.failure is not None:
            raise RuntimeError("a statement has failed, so the transaction accepts no more of them") from self.failure
        if self.under_way:
            raise RuntimeError("a transaction runs one statement at a time")


_running: ContextVar[Scope | None] = ContextVar("running", default=None)


def refuse_inside_body() -> None:
    """Raises RuntimeError if it is called inside a body. The body then fails too, even if it catches the error."""
    scope = _running.get()
    if scope is not None and not scope.ended:
        scope.failure = RuntimeError(FOREIGN_AWAIT)
        raise scope.failure


async def call(body: Body[T], transaction: Transaction, scope: Scope) -> T:
    """Runs the body to its end, in a separate context. If it returns after a failure, the failure is raised."""
    _running.set(scope)
    try:
        result = await body(transaction)
    finally:
        scope.ended = True
    if scope.failure is not None:
        raise scope.failure
    return result


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a body whose statements never suspend. Raises RuntimeError if it awaits something that does."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    raise _refused(coroutine)


class Watched(Awaitable[T], Generic[T]):
    """Awaits a body whose statements suspend. Refuses it if it suspends while no statement is running."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], scope: Scope) -> None:
        self._coroutine = coroutine
        self._scope = scope

    def __await__(self) -> Generator[Any, Any, T]:
        proceed = partial(self._coroutine.send, None)
        while True:
            try:
                awaited = proceed()
            except StopIteration as finished:
                result: T = finished.value
                return result
            if not self._scope.under_way:
                raise _refused(self._coroutine)
            try:
                proceed = partial(self._coroutine.send, (yield awaited))
            except BaseException as error:  # noqa: BLE001 — the body must see it: it may be a cancellation
                proceed = partial(self._coroutine.throw, error)


def _refused(coroutine: Coroutine[Any, Any, Any]) -> RuntimeError:
    """Ends a body that awaits something foreign. The body sees the RuntimeError, but catching it does not help."""
    refusal = RuntimeError(FOREIGN_AWAIT)
    try:
        coroutine.throw(refusal)
        coroutine.close()
    except BaseException as error:  # noqa: BLE001 — the refusal stands, however the body reacts
        if error is not refusal:
            refusal.__cause__ = error
    return refusal
