"""The queue between a verb and the transport."""

import asyncio
import logging
from typing import Final

import aiosmtplib

from ostiary.core.mail.transport import Transport
from ostiary.core.plug import Mail

_LOG: Final = logging.getLogger("ostiary.mail")
_MOST_WAITING: Final = 1000
_TRIES: Final = 3
_PAUSE: Final = 2.0  # seconds before the second try, doubled before the third


class MailQueue:
    """Sends in the background, one after the other. A mail that cannot be sent is given up after three tries and logged
    without its text; a full queue drops and logs. Neither reaches the caller: the answer must not tell."""

    def __init__(self, transport: Transport, *, pause: float = _PAUSE) -> None:
        self._transport = transport
        self._waiting: asyncio.Queue[Mail] = asyncio.Queue(_MOST_WAITING)
        self._pause = pause
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._task = asyncio.create_task(self._work(), name="ostiary-mail")

    async def close(self, *, patience: float = 5.0) -> None:
        """Sends what is waiting, for at most ``patience`` seconds, then stops."""
        if self._task is None:
            return
        try:
            await asyncio.wait_for(self._waiting.join(), patience)
        except TimeoutError:
            _LOG.warning("%d mails were not sent before closing", self._waiting.qsize())
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    def post(self, mail: Mail) -> None:
        try:
            self._waiting.put_nowait(mail)
        except asyncio.QueueFull:
            _LOG.error("the mail queue is full: a mail was dropped")

    async def _work(self) -> None:
        while True:
            mail = await self._waiting.get()
            try:
                await self._deliver(mail)
            finally:
                self._waiting.task_done()

    async def _deliver(self, mail: Mail) -> None:
        for attempt in range(_TRIES):
            try:
                await self._transport.send(mail)
            except (OSError, aiosmtplib.SMTPException, ValueError) as problem:
                _LOG.warning("a mail could not be sent (%s), try %d of %d", type(problem).__name__, attempt + 1, _TRIES)
                if attempt + 1 < _TRIES:
                    await asyncio.sleep(self._pause * 2**attempt)
            else:
                return
