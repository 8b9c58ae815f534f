"""Runs an app with its lifespan, as a server does. httpx does not run the lifespan."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS_TO_RETURN: Final = 5.0


@asynccontextmanager
async def running(app: ASGIApp) -> AsyncIterator[ASGIApp]:
    """Starts ``app``, yields the app to call, and stops it. An app without a lifespan works too.

    Raises:
        RuntimeError: the app reports that its startup or shutdown has failed.
    """
    told: asyncio.Queue[Message] = asyncio.Queue()
    heard: asyncio.Queue[Message] = asyncio.Queue()
    state: dict[str, Any] = {}
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    life = asyncio.ensure_future(_life(app, scope, told.get, heard.put))

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    async def tell(event: str) -> None:
        await told.put({"type": f"lifespan.{event}"})
        answer = asyncio.ensure_future(heard.get())
        await asyncio.wait([answer, life], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()  # the app returned without an answer, so it has no lifespan
        elif answer.result()["type"] != f"lifespan.{event}.complete":
            raise RuntimeError(f"the app's {event} has failed: {answer.result().get('message', '')}")

    try:
        await tell("startup")
        try:
            yield with_state
        finally:
            await tell("shutdown")
            await asyncio.wait([life], timeout=_SECONDS_TO_RETURN)
    finally:
        life.cancel()
        await asyncio.wait([life])


async def _life(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    with suppress(Exception):  # ASGI lifespan 2.0: an app that does not know the scope raises
        await app(scope, receive, send)
