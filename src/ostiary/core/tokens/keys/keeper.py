"""Keeps the keys of a process and their rows up to date."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from ostiary.core.plug import Ambient
from ostiary.core.tokens.keys.feed import KEY_CHANGED
from ostiary.core.tokens.keys.service import open_keys, tend
from ostiary.errors import ConfigurationError
from ostiary.store.feed import Entry
from ostiary.trace import trace
from ostiary.verifier.feed_message import KEY_REVOKED

TEND_SECONDS: Final = 10.0
"""The longest pause between two checks of what is due. An entry in the feed ends the pause early."""

_RETRY_SECONDS: Final = 0.5

_LOG: Final = logging.getLogger("ostiary")


class KeyKeeper:
    """Tends the keys from `open` to `close`. Failures are logged and retried. The process keeps using the keys it
    has."""

    def __init__(self, ambient: Ambient) -> None:
        self._ambient = ambient
        self._changed = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Raises ConfigurationError: a key was sealed with a master secret that this process does not have."""
        await open_keys(self._ambient)
        self._task = asyncio.create_task(self._run(), name="ostiary-keys")

    async def close(self) -> None:
        """Waits for the current step to finish."""
        self._closing = True
        self._changed.set()
        if self._task is not None:
            await self._task

    def learn(self, entries: Sequence[Entry]) -> None:
        """Handles entries of the feed. A revoked key is dropped immediately: reading the keys again may fail, this
        cannot."""
        for entry in entries:
            if entry.kind == KEY_REVOKED:
                self._ambient.keys.drop(entry.key)
            if entry.kind in {KEY_CHANGED, KEY_REVOKED}:
                self._changed.set()

    async def _run(self) -> None:
        pause = TEND_SECONDS
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), pause)
            if self._closing:
                return
            self._changed.clear()
            pause = await self._tend()

    async def _tend(self) -> float:
        """Returns the seconds until the next check."""
        try:
            await tend(self._ambient)
        except ConfigurationError as problem:
            # retrying sooner would not help: this process lacks a master secret
            _LOG.error("signing_keys.cannot_be_tended", extra={"reason": problem.detail})
        except Exception as problem:  # noqa: BLE001 — without the keeper, the process would never use the next key
            _LOG.warning("signing_keys.tending_failed", extra={"error": trace(problem)})
            return _RETRY_SECONDS
        return TEND_SECONDS
