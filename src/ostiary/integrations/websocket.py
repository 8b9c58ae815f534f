"""Refuse and end WebSockets of Starlette and FastAPI.

A server can answer a handshake with an HTTP response only if it has the ASGI extension ``websocket.http.response``.
Other servers answer 403 when a handshake is closed.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from ostiary.errors import OstiaryError, Unavailable
from ostiary.trace import trace
from ostiary.verifier import refusal

_LOG: Final = logging.getLogger("ostiary.guard")

_POLICY_VIOLATION: Final = 1008  # RFC 6455 §7.4.1
_TRY_AGAIN_LATER: Final = 1013  # IANA WebSocket Close Code Registry
_PERIOD: Final = 1.0
"""Seconds between two checks of a token. An open WebSocket outlives its token by at most this time, and
the time of one check: a remote verifier may wait for its issuer."""
_CLOSING_SECONDS: Final = 5.0
"""How long the close message may take. A client that does not read could otherwise delay it forever."""


def close_code(error: OstiaryError) -> int:
    """1008 if the caller is refused, 1013 if Ostiary cannot decide at the moment."""
    return _TRY_AGAIN_LATER if isinstance(error, Unavailable) else _POLICY_VIOLATION


async def refuse(socket: WebSocket, error: OstiaryError) -> None:
    """Answers the handshake with the problem, or closes an open WebSocket with a code. The reason is `error.code`."""
    in_handshake = socket.application_state is WebSocketState.CONNECTING
    if in_handshake and "websocket.http.response" in (socket.scope.get("extensions") or {}):
        refused = refusal(error)
        await socket.send_denial_response(JSONResponse(refused.body, refused.status, dict(refused.headers)))
    elif WebSocketState.DISCONNECTED not in (socket.application_state, socket.client_state):
        await socket.close(close_code(error), error.code)


@asynccontextmanager
async def while_valid(socket: WebSocket, check: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Ends the block and closes the WebSocket when ``check`` raises. Any other error than an `OstiaryError` counts as
    Unavailable: an unchecked WebSocket must not stay open."""
    ended: list[OstiaryError] = []
    try:
        async with asyncio.timeout(None) as limit:
            watcher = asyncio.create_task(_watch(check, ended, limit))
            try:
                yield
            finally:
                watcher.cancel()
    except TimeoutError:
        if not ended:
            raise  # the block's own
    if ended:
        with suppress(TimeoutError, WebSocketDisconnect):  # the server drops a client that does not take the message
            async with asyncio.timeout(_CLOSING_SECONDS):
                await refuse(socket, ended[0])


async def _watch(check: Callable[[], Awaitable[object]], ended: list[OstiaryError], limit: asyncio.Timeout) -> None:
    try:
        while True:
            await asyncio.sleep(_PERIOD)
            await check()
    except OstiaryError as error:
        ended.append(error)
    except Exception as error:  # noqa: BLE001 - whatever failed, the WebSocket ends; the log line has the place
        _LOG.error("guard.check_failed", extra={"error": trace(error)})
        ended.append(Unavailable("the check of an open WebSocket failed"))
    limit.reschedule(0)  # cancels the block
