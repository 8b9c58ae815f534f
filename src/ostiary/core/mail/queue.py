"""The queue between the calling code and the transport."""

import asyncio
import logging
from typing import Final

import aiosmtplib

from ostiary.core.mail.transport import Transport
from ostiary.core.plug import Mail

_LOG: Final = logging.getLogger("ostiary.mail")
_MOST_WAITING: Final = 1000
_TRIES: Final = 3
_PERMANENT: Final = 500
_PAUSE: Final = 2.0  # seconds before the second try, doubled before the third


class MailQueue:
    """Sends mails in the background, one after the other.

    A mail that cannot be sent is dropped after three tries, or at once if the server refuses it permanently. An
    attacker who registers addresses that do not exist must not delay the mails of other users. A mail that is dropped,
    or that finds the queue full, is logged without its text. The caller does not learn of it, because the response must
    not reveal it.
    """

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
            _LOG.warning("mail.not_sent_before_closing", extra={"mails": self._waiting.qsize()})
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    def post(self, mail: Mail) -> None:
        try:
            self._waiting.put_nowait(mail)
        except asyncio.QueueFull:
            _LOG.error("mail.queue_full", extra={"dropped": 1})

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
                return await self._transport.send(mail)
            except Exception as problem:  # noqa: BLE001 — whatever the error is, the next mail must be sent
                # not its words: they may quote the recipient
                error = type(problem).__name__
                _LOG.warning("mail.send_failed", extra={"error": error, "attempt": attempt + 1, "attempts": _TRIES})
                if _is_final(problem):
                    return None
            if attempt + 1 < _TRIES:
                await asyncio.sleep(self._pause * 2**attempt)
        return None


def _is_final(problem: Exception) -> bool:
    """Whether a retry would fail in the same way: the mail cannot be sent at all, or the server answered with 5yz (RFC
    5321 §4.2.1)."""
    if isinstance(problem, aiosmtplib.SMTPRecipientsRefused):
        return all(map(_is_final, problem.recipients))
    if isinstance(problem, aiosmtplib.SMTPResponseException):
        return problem.code >= _PERMANENT
    return not isinstance(problem, OSError | aiosmtplib.SMTPException)
