"""Opening once, however many ask for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from ostiary.errors import OstiaryError
from ostiary.trace import trace

_LOG: Final = logging.getLogger("ostiary.web")

_PAUSE: Final = 1.0
"""Seconds for which a failure stands before opening is tried again: a database that is away is not hammered."""


class Opening:
    """Awaits ``open`` once, for all who wait. A failure is raised to each of them, and tried again by who asks a second
    later. Whoever waits may be cancelled: opening goes on, because others wait too. ``has_failed`` until it is open."""

    def __init__(
        self,
        open: Callable[[], Awaitable[None]],  # noqa: A002 - the pair of close
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self._open = open
        self._close = close
        self._task: asyncio.Task[None] | None = None
        self._failed_at = 0.0
        self.is_open = False
        self.has_failed = False

    async def ensure(self) -> None:
        """Returns when open. Raises what opening raised."""
        if not self.is_open:
            await asyncio.shield(self._under_way())

    def begin(self) -> None:
        """Like `ensure`, for who does not wait."""
        if not self.is_open:
            self._under_way()

    async def close(self) -> None:
        """Closes what was opened. May be opened again after."""
        if self.is_open:
            self.is_open = False
            self._task = None
            await self._close()

    def _under_way(self) -> asyncio.Task[None]:
        """The attempt that counts: the last one, or a new one once its failure has stood long enough."""
        if self._task is None or (self._task.done() and self._may_try_again()):
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(_look_at)
        return self._task

    def _may_try_again(self) -> bool:
        return asyncio.get_running_loop().time() - self._failed_at >= _PAUSE

    async def _run(self) -> None:
        try:
            await self._open()
        except Exception as problem:
            self.has_failed = True
            self._failed_at = asyncio.get_running_loop().time()
            _LOG.error("%s", reason(problem))
            raise
        self.is_open = True
        self.has_failed = False


def _look_at(attempt: asyncio.Task[None]) -> None:
    """`Opening` has logged the failure: asyncio would log it again, in the driver's words, where nobody waited."""
    if not attempt.cancelled():
        attempt.exception()


def reason(problem: Exception) -> str:
    """Why opening failed, for the operator. Our own errors are written to be read; a driver's may quote the password
    out of a database URL, so of those only the place is told."""
    if isinstance(problem, OstiaryError):
        return " ".join(str(problem).split())
    return f"Ostiary cannot start: {trace(problem)}"
