"""When an installation is open, on which event loop, and until when."""

import asyncio
import os
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Final

from ostiary.core.housekeeping import Housekeeper
from ostiary.core.plug import Ambient
from ostiary.errors import Unavailable

_FORKED: Final = "this process was forked while Ostiary was open: open it after forking, in each process"
_ELSEWHERE: Final = "Ostiary is open on another event loop that still exists: use it there, or close it first"


class Life:
    """Opening is counted: the parts close when as many have closed as have opened.

    There is one live event loop. The parts live in a task of that loop, so that a loop which ends by cancelling its
    tasks (``asyncio.run``, Starlette's ``TestClient`` without ``with``) closes them, and the next loop opens anew.
    """

    def __init__(
        self,
        assemble: Callable[[AsyncExitStack], Awaitable[Ambient]],
        housekeeper: Callable[[Ambient], Housekeeper],
        *,
        drain: Callable[[], Awaitable[None]],
    ) -> None:
        """``drain`` lets work finish that still needs the open parts, before they close."""
        self._drain = drain
        self._assemble = assemble
        self._new_housekeeper = housekeeper
        self._run: _Run | None = None
        self._forked = False
        self.ambient: Ambient | None = None
        _lives.add(self)

    def is_open_here(self) -> bool:
        """Whether it is open on the running event loop."""
        return self.ambient is not None and self._run is not None and self._run.loop is asyncio.get_running_loop()

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop on which it is open, or None."""
        return self._run.loop if self._run is not None and not self._run.loop.is_closed() else None

    def need(self) -> Ambient:
        """Raises Unavailable unless open."""
        if self.ambient is None:
            raise Unavailable(_FORKED if self._forked else "not open")
        return self.ambient

    def need_here(self) -> Ambient:
        """Like `need`, for coroutines: connections and locks belong to the loop that opened them, and a call on another
        one would hang. Raises Unavailable there."""
        ambient = self.need()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return ambient  # no coroutine: it reads memory only
        if self._run is not None and self._run.loop is not loop:
            raise Unavailable(_ELSEWHERE)
        return ambient

    async def keep_open(self) -> None:
        """Opens it and holds it until its loop ends. Callers at the same time wait for one opening."""
        run = await self._joined()
        if not run.is_kept:
            run.is_kept = True
            run.holders += 1
        await asyncio.shield(run.ready)

    async def until_open(self) -> None:
        """Waits for an opening that is under way on this loop."""
        if self._run is not None:
            await asyncio.shield(self._run.ready)

    async def open(self, *, housekeeping: bool) -> None:
        """Opens everything, or joins who opened it before. Every call needs one `close`, unless it raised.

        Args:
            housekeeping: whether expired rows are removed in the background from now on. Scripts leave that to servers.
        """
        run = await self._joined()
        run.holders += 1
        try:
            await asyncio.shield(run.ready)
        except BaseException:
            run.holders -= 1
            if run.holders <= 0:
                run.ending.set()  # the only caller was cancelled: nobody else would close it
            raise
        if housekeeping and run.housekeeper is None and self.ambient is not None:
            run.housekeeper = self._new_housekeeper(self.ambient)
            run.housekeeper.open()

    async def close(self) -> None:
        """Undoes one `open`. The last one lets what is under way finish, and closes everything."""
        run = self._run
        if run is None or run.loop is not asyncio.get_running_loop():
            return  # its loop is gone, and what it had open with it
        run.holders -= 1
        if run.holders <= 0:
            run.ending.set()
            await asyncio.shield(run.task)

    def mark_forked(self) -> None:
        """In a child process: its parent's connections must not be used by both."""
        if self._run is not None:
            self._run, self.ambient, self._forked = None, None, True

    async def _joined(self) -> "_Run":
        if self._forked:
            raise Unavailable(_FORKED)
        loop = asyncio.get_running_loop()
        while (run := self._run) is not None:
            if run.loop is not loop and not run.loop.is_closed():
                raise Unavailable(_ELSEWHERE)
            if run.loop is loop and not run.ending.is_set():
                return run
            if run.loop is loop:
                await asyncio.wait([run.task])  # the former one closes first
            if self._run is run:
                self._run, self.ambient = None, None
        self._run = _Run(loop, self._live)
        return self._run

    async def _live(self, run: "_Run") -> None:
        try:
            async with AsyncExitStack() as stack:
                ambient = await self._assemble(stack)
                self.ambient = ambient
                stack.push_async_callback(self._leave, run, ambient)
                run.ready.set_result(None)
                await run.ending.wait()
        except Exception as problem:
            if run.ready.done():
                raise
            run.ready.set_exception(problem)
        finally:
            run.ready.cancel()
            if self._run is run:
                self._run = None

    async def _leave(self, run: "_Run", ambient: Ambient) -> None:
        run.ending.set()
        ambient.feed.close()  # requests that wait for the feed get their answer
        await self._drain()
        self.ambient = None
        if run.housekeeper is not None:
            await run.housekeeper.close()


class _Run:
    """One time of being open."""

    def __init__(self, loop: asyncio.AbstractEventLoop, live: Callable[["_Run"], Coroutine[Any, Any, None]]) -> None:
        self.loop: Final = loop
        self.ready: Final = loop.create_future()
        self.ready.add_done_callback(_look_at)
        self.ending: Final = asyncio.Event()
        self.holders = 0
        self.is_kept = False
        self.housekeeper: Housekeeper | None = None
        self.task: Final = loop.create_task(live(self), name="ostiary-life")


def _look_at(ready: "asyncio.Future[None]") -> None:
    """The callers got the failure. If all of them were cancelled, asyncio would log it again."""
    if not ready.cancelled():
        ready.exception()


_lives: Final[weakref.WeakSet[Life]] = weakref.WeakSet()


def _mark_forked() -> None:
    for life in list(_lives):
        life.mark_forked()


os.register_at_fork(after_in_child=_mark_forked)
