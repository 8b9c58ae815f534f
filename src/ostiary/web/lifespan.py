"""The lifespan protocol around a wrapped app: opens before the app starts, and closes after the app has stopped."""

import logging
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ostiary.trace import trace
from ostiary.web.opening import Opening, reason

_LOG: Final = logging.getLogger("ostiary.web")

_STARTUP: Final = "startup"
_SHUTDOWN: Final = "shutdown"


class Lifespan:
    """One run of the protocol (ASGI lifespan 2.0). The server gets exactly one answer to each of its two messages,
    whatever the app does. An app that raises or returns without an answer has no lifespan, but it is still served."""

    def __init__(self, receive: Receive, send: Send, *, opening: Opening) -> None:
        self._receive = receive
        self._send = send
        self._opening = opening
        self._startup: Message = {}
        self._asked: set[str] = set()
        self._answered: set[str] = set()

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        self._startup = await self._receive()
        try:
            await self._opening.hold()
        except Exception as problem:  # noqa: BLE001 - the server reports every failure to start
            first_line = reason(problem).splitlines()[0]
            await self._send({"type": "lifespan.startup.failed", "message": first_line})
            return
        try:
            await self._run_app(app, scope)
            await self._do_the_rest()
        finally:
            await self._opening.close()

    async def _run_app(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._receive_for_app, self._send_for_app)
        except Exception as problem:
            if _SHUTDOWN in self._asked or _SHUTDOWN in self._answered:
                raise
            _LOG.info("lifespan.app_failed", extra={"error": trace(problem)})

    async def _do_the_rest(self) -> None:
        """Answers for an app that has ended or does not support the protocol."""
        if _STARTUP not in self._answered:
            await self._send({"type": "lifespan.startup.complete"})
        if _SHUTDOWN not in self._asked | self._answered:
            await self._receive()
        if _SHUTDOWN not in self._answered:
            await self._opening.close()
            await self._send({"type": "lifespan.shutdown.complete"})

    async def _receive_for_app(self) -> Message:
        if _STARTUP not in self._asked:
            self._asked.add(_STARTUP)
            return self._startup
        message = await self._receive()
        self._asked.add(_SHUTDOWN)
        return message

    async def _send_for_app(self, message: Message) -> None:
        self._answered.add(_STARTUP)
        if message["type"] != "lifespan.startup.complete":
            # the app has stopped or will not start, so it no longer needs Ostiary
            self._answered.add(_SHUTDOWN)
            await self._opening.close()
        await self._send(message)
