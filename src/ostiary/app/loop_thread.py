"""An event loop in a thread of its own, for callers that have none: Flask, Django, scripts."""

import asyncio
import atexit
import threading
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

_PATIENCE: Final = 10.0
"""Seconds that the end of the process waits for what is under way."""


class LoopThread:
    """Starts with the first coroutine, and ends with the process. Its loop cancels and awaits what is left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs it to its end and returns its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._started()).result()

    def close(self) -> None:
        """Ends the thread, if there is one. A later `run` starts another."""
        with self._lock:
            loop, thread, stop = self._loop, self._thread, self._stop
            self._loop = self._thread = self._stop = None
        if loop is None or thread is None or stop is None or loop.is_closed():
            return
        loop.call_soon_threadsafe(stop.set)
        thread.join(_PATIENCE)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._thread is None or not self._thread.is_alive():
                started = threading.Event()
                self._thread = threading.Thread(
                    target=lambda: asyncio.run(self._main(started)), name="ostiary-loop", daemon=True
                )
                self._thread.start()
                started.wait()
                atexit.register(self.close)
            if self._loop is None:
                raise RuntimeError("the event loop's thread did not start")
            return self._loop

    async def _main(self, started: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        stop = self._stop
        started.set()
        await stop.wait()
