"""Listens for ``NOTIFY``, which wakes waiting callers earlier than their polling would."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from ostiary.store.pauses import jitter
from ostiary.store.postgres.failures import driver_errors
from ostiary.store.postgres.transaction import CHANNEL

RECONNECT_SECONDS: Final = 2.0


class Listener:
    """A separate connection that is replaced whenever it is lost. Nothing depends on it: without it, callers poll."""

    def __init__(self, connect: Callable[[], Awaitable[Any]]) -> None:
        self._connect = connect
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._listen(), name="ostiary-listener")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def wake(self) -> None:
        self._heard.set()

    async def wait(self, timeout: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._heard.wait()
        self._heard.clear()

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(*driver_errors()):
                await self._listen_once()
            await asyncio.sleep(jitter(RECONNECT_SECONDS))

    async def _listen_once(self) -> None:
        """Returns when the connection is lost."""
        connection = await self._connect()
        try:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, lambda *_: self.wake())
            self.wake()  # earlier announcements may have been missed
            await lost.wait()
        finally:
            connection.terminate()
