"""``NOTIFY`` and ``LISTEN``, which wake waiting callers earlier than their polling would.

``NOTIFY`` is not part of the transaction that makes the change: PostgreSQL lets only one transaction of the whole
server commit a ``NOTIFY`` at a time, and it holds that lock while it waits for the disk. It is sent after the commit,
on the listening connection, and one stands for all changes since the last one.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from ostiary.store.pauses import jitter
from ostiary.store.postgres.failures import driver_errors

CHANNEL: Final = "ostiary_change"

RECONNECT_SECONDS: Final = 2.0

NOTIFY_PAUSE: Final = 0.01
"""Seconds between two ``NOTIFY``. Readers of the change feed make the same pause between two reads."""


class Listener:
    """A separate connection that is replaced whenever it is lost. Nothing depends on it: without it, callers poll."""

    def __init__(self, connect: Callable[[], Awaitable[Any]]) -> None:
        self._connect = connect
        self._heard = asyncio.Event()
        self._to_tell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._listen(), name="ostiary-listener")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def announce(self) -> None:
        """Wakes the callers of this process now, and those of other processes soon."""
        self._heard.set()
        self._to_tell.set()

    def _on_notify(self, own: int, _connection: Any, sender: int, *_: str) -> None:
        if sender != own:
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
        """Returns or raises when the connection is lost."""
        connection = await self._connect()
        try:
            connection.add_termination_listener(lambda _: self._to_tell.set())
            own = connection.get_server_pid()
            await connection.add_listener(CHANNEL, partial(self._on_notify, own))
            self._heard.set()  # earlier announcements may have been missed
            while not connection.is_closed():
                await self._to_tell.wait()
                self._to_tell.clear()
                await connection.execute(f"notify {CHANNEL}")
                await asyncio.sleep(NOTIFY_PAUSE)
        finally:
            connection.terminate()
