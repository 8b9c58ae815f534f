"""Whether writes work: cheap enough for frequent health checks."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from ostiary.errors import StoreUnavailable
from ostiary.store.database import Body, Transaction

PROBE_SECONDS: Final = 1.0
"""Seconds between two probes, however often somebody asks."""

PROBE_PATIENCE: Final = 2.0

_PROBE: Final = (
    "insert into store_lease (name, holder, until) values ('write probe', '', 1)"
    " on conflict (name) do update set until = 3 - store_lease.until"
)


class WriteHealth:
    """Remembers that a transaction failed, and then probes with a small write until one succeeds. While nothing fails,
    nothing is written."""

    def __init__(self) -> None:
        self._failures = 0
        self._detail = ""
        self._known = 0  # the failures after which a probe has succeeded
        self._probe: asyncio.Task[bool] | None = None
        self._probed_at = float("-inf")

    def failed(self, failure: StoreUnavailable) -> None:
        self._failures, self._detail = self._failures + 1, failure.detail

    async def check(self, write: Callable[[Body[None]], Awaitable[None]]) -> None:
        """Raises StoreUnavailable if writes fail. ``write`` runs a transaction. Callers share one probe, and its result
        for `PROBE_SECONDS`: a failure before it says nothing any more."""
        if self._failures == self._known:
            return
        probe, now = self._probe, time.monotonic()
        if probe is None or (probe.done() and now - self._probed_at >= PROBE_SECONDS):
            self._probed_at = now
            self._probe = probe = asyncio.create_task(self._try(write), name="ostiary-write-probe")
        await asyncio.wait([probe])  # a caller that is cancelled does not cancel it for the others
        if not probe.result():
            raise StoreUnavailable(self._detail)

    async def _try(self, write: Callable[[Body[None]], Awaitable[None]]) -> bool:
        failures = self._failures
        try:
            await write(_write)
        except StoreUnavailable as failure:
            self._detail = failure.detail
            return False
        self._known = failures
        return True


async def _write(tx: Transaction) -> None:
    await tx.execute(_PROBE)
