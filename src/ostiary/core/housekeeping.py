"""Housekeeping: what has expired is removed, by one process at a time.

Every process looks now and then whether it is due, and whoever is first does it under a lease. One that dies at it is
replaced when its lease has ended. Each statement bears being run by two at once, should two believe they are the one.
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
"""Between the end of one run and the beginning of the next, whoever does it."""

LEASE_SECONDS: Final = 60
"""How long a process that died at it keeps others from going on."""

LOOK_SECONDS: Final = 60.0
"""The longest pause between two looks whether it is due."""

FIRST_LOOK_SECONDS: Final = 10.0
"""The longest before the first; drawn by lot, since processes are often started together."""

CLOSE_SECONDS: Final = 2.0
"""How long a portion may go on when its process is asked to end."""

_LOG: Final = logging.getLogger("ostiary")


class Housekeeper:
    """Works from `open` to `close`. What fails is logged, and tried again at the next look."""

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
        """Lets the portion that is under way finish, unless it takes long: a database that is silent must not hold up
        the end of a process. Another process may go on with the rest at once."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=CLOSE_SECONDS)
            self._task.cancel()
            await asyncio.wait([self._task])

    async def tidy(self) -> bool:
        """Removes all that has expired. False: another process is at it or has done it lately, or this one closes."""
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
            except Exception as problem:  # noqa: BLE001 — had it stopped, tables would grow for ever
                _LOG.warning("housekeeping is put off: %s", trace(problem))
            pause = jitter(LOOK_SECONDS)

    async def _swept(self, sweep: Sweep) -> bool:
        """Runs one until nothing is left for it. False: before that the lease was another's, or this process closed."""
        while not self._closing.is_set():
            removed = await self._portion(sweep)
            if removed is None:
                return False
            if removed < SWEEP_ROWS:
                return True
        await self._leave(pause=0)
        return False

    async def _portion(self, sweep: Sweep) -> int | None:
        """How many rows went; None where the lease is another's."""
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
