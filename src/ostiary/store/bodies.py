"""What both engines require of a transaction's body: it awaits only its transaction, and stops at its first error."""

from collections.abc import Awaitable, Coroutine, Generator
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Generic, TypeVar

from ostiary.store.database import Body, Transaction

FOREIGN_AWAIT: Final = "a transaction's body awaits nothing but its Transaction"

T = TypeVar("T")


class Scope:
    """How far a body is: whether its transaction still takes statements, and whether one is under way."""

    __slots__ = ("ended", "failure", "under_way")

    def __init__(self) -> None:
        self.ended = False
        self.failure: Exception | None = None
        self.under_way = False

    def admit(self) -> None:
        """Refuses a statement that comes too late."""
        if self.ended:
            raise RuntimeError("the transaction has ended: its body kept it")
        if self.failure is not None:
            raise RuntimeError("the transaction is over: one of its statements failed") from self.failure
        if self.under_way:
            raise RuntimeError("a transaction runs one statement at a time")


_running: ContextVar[Scope | None] = ContextVar("running", default=None)


def refuse_inside_body() -> None:
    """For what a body must not call. It fails, and so does the body, whatever it makes of that."""
    scope = _running.get()
    if scope is not None and not scope.ended:
        scope.failure = RuntimeError(FOREIGN_AWAIT)
        raise scope.failure


async def call(body: Body[T], transaction: Transaction, scope: Scope) -> T:
    """Runs the body to its end, in a context of its own. One that returns after a failure fails with it."""
    _running.set(scope)
    try:
        result = await body(transaction)
    finally:
        scope.ended = True
    if scope.failure is not None:
        raise scope.failure
    return result


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a body that has nothing to wait for, here and now. RuntimeError when it awaits something that suspends."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    raise _refused(coroutine)


class Watched(Awaitable[T], Generic[T]):
    """Awaits a body whose statements suspend, and refuses it when it suspends without a statement under way."""

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
            except BaseException as error:  # noqa: BLE001 — a cancellation, say: it is the body's to see
                proceed = partial(self._coroutine.throw, error)


def _refused(coroutine: Coroutine[Any, Any, Any]) -> RuntimeError:
    """Ends a body that awaits something foreign: it sees the RuntimeError where it awaits, but cannot talk it away."""
    refusal = RuntimeError(FOREIGN_AWAIT)
    try:
        coroutine.throw(refusal)
        coroutine.close()
    except BaseException as error:  # noqa: BLE001 — whatever the body makes of it, the refusal stands
        if error is not refusal:
            refusal.__cause__ = error
    return refusal
