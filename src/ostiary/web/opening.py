"""Opening once, no matter how many requests ask for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from ostiary.errors import OstiaryError
from ostiary.trace import trace

_LOG: Final = logging.getLogger("ostiary.web")

_PAUSE: Final = 1.0
"""Seconds between a failure and the next attempt. This limits the attempts while the database is unavailable."""


class Opening:
    """Runs ``open`` once for all requests that wait for it. If it fails, each of them gets the exception. The first
    request that arrives at least a second later tries again. Cancelling one request does not stop the attempt, because
    other requests wait for it too. ``has_failed`` is true from a failure until the next success."""

    def __init__(
        self,
        open: Callable[[], Awaitable[None]],  # noqa: A002 - the pair of close
        close: Callable[[], Awaitable[None]],
        *,
        is_open: Callable[[], bool],
    ) -> None:
        self._open = open
        self._close = close
        self._is_open = is_open
        self._task: asyncio.Task[None] | None = None
        self._failed_at = 0.0
        self._held = False
        self.has_failed = False

    @property
    def is_open(self) -> bool:
        """Whether it is open on the running event loop, no matter who opened it."""
        return self._is_open()

    async def ensure(self) -> None:
        """Returns when open. Raises what opening raised."""
        if not self._is_open():
            await asyncio.shield(self._under_way())

    async def hold(self) -> None:
        """Like `ensure`, and keeps it open until `close`."""
        if not (self._held and self._is_open()):
            await asyncio.shield(self._under_way())

    def begin(self) -> None:
        """Like `ensure`, for callers that do not wait."""
        if not self._is_open():
            self._under_way()

    async def close(self) -> None:
        """Closes what was opened here, also what is still opening. It may be opened again afterwards."""
        if self._task is not None and self._task.get_loop() is asyncio.get_running_loop():
            await asyncio.wait([self._task])
        if self._held:
            self._held = False
            self._task = None
            await self._close()

    def _under_way(self) -> asyncio.Task[None]:
        """The current attempt, or a new one: if there is none, if the last one failed long enough ago, or if the last
        one opened Ostiary on another event loop."""
        task = self._task
        is_foreign = task is not None and task.get_loop() is not asyncio.get_running_loop()
        if task is None or is_foreign or (task.done() and (not self.has_failed or self._may_try_again())):
            task = self._task = asyncio.create_task(self._run())
            task.add_done_callback(_look_at)
        return task

    def _may_try_again(self) -> bool:
        return asyncio.get_running_loop().time() - self._failed_at >= _PAUSE

    async def _run(self) -> None:
        try:
            await self._open()
        except Exception as problem:
            self.has_failed = True
            self._failed_at = asyncio.get_running_loop().time()
            _LOG.error("opening.failed", extra={"reason": reason(problem)})
            raise
        self._held = True
        self.has_failed = False


def _look_at(attempt: asyncio.Task[None]) -> None:
    """Marks the exception as retrieved. `Opening` has logged the failure. If no caller waited for it, asyncio would log
    it again, with the driver's message."""
    if not attempt.cancelled():
        attempt.exception()


def reason(problem: Exception) -> str:
    """Why opening failed, for the operator. Our own errors are written to be read. A driver's error may quote the
    password of a database URL, so only its place is logged."""
    if isinstance(problem, OstiaryError):
        return " ".join(str(problem).split())
    return f"Ostiary cannot start: {trace(problem)}"
