"""Whether writes work, at a price that load balancers may ask for often."""

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
        self._probed_at = float("-inf")

    def failed(self, failure: StoreUnavailable) -> None:
        self._failures, self._detail = self._failures + 1, failure.detail

    async def check(self, write: Callable[[Body[None]], Awaitable[None]]) -> None:
        """Raises StoreUnavailable if writes fail. ``write`` runs a transaction."""
        failures, now = self._failures, time.monotonic()
        if failures == self._known:
            return
        if now - self._probed_at < PROBE_SECONDS:
            raise StoreUnavailable(self._detail)
        self._probed_at = now
        await write(_probe)
        self._known = failures


async def _probe(tx: Transaction) -> None:
    await tx.execute(_PROBE)
