"""Housekeeping: one process at a time removes expired rows.

Every process checks regularly whether it is due, and the first one does the work under a lease. If that process dies,
another takes over when the lease expires. All statements are idempotent, so that two processes that both believe to
have the lease do no harm.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from ostiary.core.clock import MICROSECONDS
from ostiary.core.entropy import identifier
from ostiary.core.plug import Ambient, Feature
from ostiary.core.plug.feature import Sweep
from ostiary.store import feed
from ostiary.store.database import SWEEP_ROWS, Transaction
from ostiary.store.lease import Lease
from ostiary.store.pauses import jitter
from ostiary.trace import trace

LEASE: Final = "housekeeping"

SWEEP_SECONDS: Final = 600
"""Seconds between the end of one run and the start of the next, in any process."""

LEASE_SECONDS: Final = 60
"""How long the lease of a process that died blocks the others."""

LOOK_SECONDS: Final = 60.0
"""The longest pause between two checks whether housekeeping is due."""

FIRST_LOOK_SECONDS: Final = 10.0
"""The longest pause before the first check. The actual pause is random, because processes often start together."""

CLOSE_SECONDS: Final = 2.0
"""How long the current batch may continue after its process is asked to stop."""

_LOG: Final = logging.getLogger("ostiary")


class Housekeeper:
    """Works from `open` to `close`. Failures are logged and retried at the next check."""

    def __init__(self, ambient: Ambient, features: Sequence[Feature]) -> None:
        self._ambient = ambient
        # later slices first: their rows refer to those of earlier ones
        slices = [feature.sweep for feature in reversed(features) if feature.sweep is not None]
        self._sweeps: tuple[Sweep, ...] = (*slices, feed.sweep)
        holder = identifier("hk", ambient.random)
        self._lease = Lease(name=LEASE, holder=holder, lasts=LEASE_SECONDS * MICROSECONDS)
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._task = asyncio.create_task(self._run(), name="ostiary-housekeeping")

    async def close(self) -> None:
        """Waits for the current batch, but not for long: an unresponsive database must not delay the end of a process.
        Another process may continue with the rest at once."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=CLOSE_SECONDS)
            self._task.cancel()
            await asyncio.wait([self._task])

    async def tidy(self) -> bool:
        """Removes everything that has expired. Returns False if another process is doing it or did it recently, or if
        this process is closing."""
        for sweep in self._sweeps:
            if not await self._swept(sweep):
                return False
        await self._ambient.hot.sweep(self._ambient.now())
        await self._leave(pause=SWEEP_SECONDS)
        return True

    async def _run(self) -> None:
        pause = jitter(FIRST_LOOK_SECONDS)
        while not await self._closes_within(pause):
            self._ambient.revocations.forget(self._ambient.seconds())  # this process's own memory
            try:
                await self.tidy()
            except Exception as problem:  # noqa: BLE001 — if it stopped, tables would grow without limit
                _LOG.warning("housekeeping.failed", extra={"error": trace(problem)})
            pause = jitter(LOOK_SECONDS)

    async def _swept(self, sweep: Sweep) -> bool:
        """Runs one sweep until nothing is left. Returns False if the lease was lost to another process, or this process
        closes, before that."""
        while not self._closing.is_set():
            removed = await self._portion(sweep)
            if removed is None:
                return False
            if removed < SWEEP_ROWS:
                return True
        await self._leave(pause=0)
        return False

    async def _portion(self, sweep: Sweep) -> int | None:
        """Runs one batch. Returns the number of deleted rows, or None if another process has the lease."""
        now = await self._ambient.database.now()

        async def body(tx: Transaction) -> int | None:
            if not await self._lease.take(tx, now=now):
                return None
            return await sweep(tx, self._ambient.now())

        return await self._ambient.database.transaction(body)

    async def _leave(self, *, pause: int) -> None:
        until = await self._ambient.database.now() + pause * MICROSECONDS
        await self._ambient.database.transaction(lambda tx: self._lease.leave(tx, until=until))

    async def _closes_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)
        return self._closing.is_set()
