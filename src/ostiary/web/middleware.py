"""Ostiary around an ASGI app: Ostiary serves its own paths, and the app serves all others."""

import contextlib
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from ostiary.errors import Unavailable
from ostiary.web.app import Application
from ostiary.web.lifespan import Lifespan
from ostiary.web.opening import Opening
from ostiary.web.table import path_of


class Embedded:
    """Serves the paths that ``served`` owns and passes all other requests to ``app`` unchanged.

    Ostiary opens with the server's lifespan, before the app's own lifespan starts. Without a lifespan (in a test's
    transport, or on a server that has none) it opens at the first request. Every request waits for the first attempt,
    because the app's guards need Ostiary too. If an attempt fails, only requests for Ostiary's own paths wait for the
    next one, and get 503 if it fails. Requests for the app continue, and start a new attempt in the background. If
    ``app`` and ``served`` are the same, Ostiary runs alone.
    """

    def __init__(
        self,
        app: ASGIApp,
        served: Application,
        *,
        open: Callable[[], Awaitable[None]],  # noqa: A002 - the pair of close
        close: Callable[[], Awaitable[None]],
        is_open: Callable[[], bool],
    ) -> None:
        self._app = app
        self._served = served
        self._opening = Opening(open, close, is_open=is_open)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await Lifespan(receive, send, opening=self._opening).run(self._app, scope)
            return
        is_ours = scope["type"] in {"http", "websocket"} and self._served.owns(path_of(scope))
        is_open = self._opening.is_open or await self._try_to_open(is_ours=is_ours)
        if not is_ours:
            await self._app(scope, receive, send)
        elif is_open:
            await self._served(scope, receive, send)
        else:
            await self._served.refuse(Unavailable("not open"), scope, send)

    async def _try_to_open(self, *, is_ours: bool) -> bool:
        if self._opening.has_failed and not is_ours:
            self._opening.begin()
            return False
        # `Opening` has logged the reason; a caller learns only that Ostiary is unavailable
        with contextlib.suppress(Exception):
            await self._opening.ensure()
        return self._opening.is_open
