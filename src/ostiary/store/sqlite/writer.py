"""Many transactions, one commit: an fsync costs the same for one caller as for a hundred.

::

    caller ──> waiting ──> BEGIN IMMEDIATE   in the thread, which may wait for other processes
                           savepoint, body   inline on the loop, one body after another
                           COMMIT            in the thread, which waits for the disk
    caller <────────────── answers           for the whole batch, including refusals, only now

A body that raises is rolled back to its savepoint, which does not affect other bodies. An error that rolls back the
whole transaction (disk full, I/O, memory) fails the whole batch. Every caller always gets an answer.
"""

import asyncio
import contextvars
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from ostiary.errors import OutcomeUnknown, StoreUnavailable
from ostiary.store.bodies import Scope, call, drive, refuse_inside_body
from ostiary.store.database import Body
from ostiary.store.sqlite.connection import ENGINE_ERRORS, explained, is_busy
from ostiary.store.sqlite.session import Session
from ostiary.store.sqlite.transaction import SqliteTransaction
from ostiary.trace import trace

MOST_WAITING: Final = 10_000
"""Further callers are refused. Otherwise they would use memory and time out later."""

LARGEST_BATCH: Final = 256

INLINE_SECONDS: Final = 0.005
"""After this time in bodies the batch is closed: the event loop has other work, and other processes want the lock."""

T = TypeVar("T")

_log = logging.getLogger("ostiary.store")


class Member:
    """One body in a batch, and the answer for its caller."""

    __slots__ = ("answer", "body", "context", "error", "patience", "result")

    def __init__(self, body: Body[Any], answer: "asyncio.Future[Any]", *, patience: float) -> None:
        self.body = body
        self.answer = answer
        self.patience = patience
        self.context = contextvars.copy_context()
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self, lost: StoreUnavailable | None) -> None:
        """Answers the caller, unless it was cancelled. If the batch is lost, the body's result does not count: it may
        have read what other bodies wrote."""
        if self.answer.done():
            return
        error = type(lost)(lost.detail) if lost is not None else self.error
        if error is not None:
            self.answer.set_exception(error)
            self.answer.exception()  # marks it as retrieved: a caller cancelled in this turn of the loop never is
        else:
            self.answer.set_result(self.result)


class Writer:
    """Owns the only connection that writes. ``committed`` is called after each commit."""

    def __init__(self, session: Session, *, patience: float, committed: Callable[[], None]) -> None:
        self._session = session
        self._patience = patience
        self._committed = committed
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Member] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ostiary-writer")
        self._task = asyncio.create_task(self._work(), name="ostiary-writer")

    async def run(self, body: Body[T], *, patience: float | None) -> T:
        """The body's result, or its error, after the commit of its batch."""
        refuse_inside_body()
        self.refuse_when_closed()
        if len(self._waiting) >= MOST_WAITING:
            raise StoreUnavailable("too many transactions are waiting")
        answer: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(Member(body, answer, patience=self._patience if patience is None else patience))
        self._wake.set()
        try:
            return await answer
        except BaseException:
            answer.cancel()  # however the caller was interrupted, a body that has not begun must not run
            raise

    def refuse_when_closed(self) -> None:
        if self._closing:
            raise StoreUnavailable("the database is closed")

    async def close(self) -> None:
        """Closes after every waiting body has run."""
        self._closing = True
        self._wake.set()
        await asyncio.wait([self._task])
        await asyncio.to_thread(self._thread.shutdown)

    async def _work(self) -> None:
        try:
            while await self._someone_waits():
                await self._run_batch()
        finally:
            self._closing = True
            self._answer_waiting(StoreUnavailable("the database is closed"))
            self._thread.submit(self._session.discard)
            self._thread.shutdown(wait=False)

    async def _someone_waits(self) -> bool:
        while not self._waiting and not self._closing:
            self._wake.clear()
            await self._wake.wait()
        return bool(self._waiting)

    async def _run_batch(self) -> None:
        batch: list[Member] = []
        lost: StoreUnavailable | None = OutcomeUnknown("the writer was stopped during the commit")
        try:
            lost = await self._commit_bodies(batch)
        except Exception as error:  # noqa: BLE001 — the writer must go on
            # unexpected, for example no thread can be started: every caller gets an answer, the next batch tries again
            _log.error("writer.failed", extra={"error": trace(error)})
            lost = OutcomeUnknown(f"the writer failed: {type(error).__name__}")
            self._answer_waiting(lost)
            self._thread.submit(self._session.discard)
        finally:
            for member in batch:
                member.settle(lost)

    async def _commit_bodies(self, batch: list[Member]) -> StoreUnavailable | None:
        """Fills ``batch`` with the members whose bodies ran. Returns why the whole batch was lost, or None."""
        patience = max(member.patience for member in self._waiting)
        try:
            await self._in_thread(self._session.begin, patience)
        except (*ENGINE_ERRORS, StoreUnavailable) as error:
            self._answer_waiting(_unavailable(error))
            return None
        try:
            self._run_bodies(batch)
        except (*ENGINE_ERRORS, StoreUnavailable) as error:
            await self._in_thread(self._session.discard)
            return _unavailable(error)
        try:
            await self._in_thread(self._session.commit, patience)
        except (*ENGINE_ERRORS, StoreUnavailable) as error:
            await self._in_thread(self._session.discard)
            return _unavailable(error) if is_busy(error) else OutcomeUnknown(_unavailable(error).detail)
        self._committed()
        return None

    def _run_bodies(self, batch: list[Member]) -> None:
        """Runs the waiting bodies. Raises if an error has undone the whole transaction."""
        closing_time = time.monotonic() + INLINE_SECONDS
        while self._waiting and len(batch) < LARGEST_BATCH:
            member = self._waiting.popleft()
            if member.answer.done():
                continue  # cancelled before its body began
            batch.append(member)
            self._run_body(member)
            if time.monotonic() > closing_time:
                return

    def _run_body(self, member: Member) -> None:
        connection = self._session.connection
        connection.execute("savepoint body")
        scope = Scope()
        body = call(member.body, SqliteTransaction(connection, scope), scope)
        try:
            member.result = member.context.run(drive, body)
        except BaseException as error:  # noqa: BLE001 — the caller gets it as its answer
            member.error = error
        if not connection.in_transaction:
            raise StoreUnavailable(f"the whole batch was rolled back: {member.error or 'by a body'}")
        if member.error is not None:
            connection.execute("rollback to body")
        connection.execute("release body")

    def _answer_waiting(self, reason: StoreUnavailable) -> None:
        while self._waiting:
            self._waiting.popleft().settle(reason)

    async def _in_thread(self, work: Callable[..., None], *args: float) -> None:
        await self._loop.run_in_executor(self._thread, work, *args)


def _unavailable(error: BaseException) -> StoreUnavailable:
    """An error that stops a whole batch is never the fault of one statement."""
    explanation = error if isinstance(error, StoreUnavailable) else explained(error)
    return explanation if isinstance(explanation, StoreUnavailable) else StoreUnavailable(explanation.detail)
