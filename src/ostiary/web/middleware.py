"""Ostiary around an ASGI app: its own paths are served here, all others by the app."""

import contextlib
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from ostiary.errors import Unavailable
from ostiary.web.app import Application
from ostiary.web.lifespan import Lifespan
from ostiary.web.opening import Opening
from ostiary.web.table import path_of


class Embedded:
    """Serves the paths that ``served`` owns and passes the rest to ``app``, as it came.

    It opens with the server's lifespan, before the app's own; where none comes (a test's transport, a server without
    it), at the first request. Until that has failed every request waits for it, since the app's guards need it too.
    After a failure only our paths wait, and answer 503 while it fails; the app's go on, and it is tried again beside
    them. With ``app`` and ``served`` the same, it is Ostiary alone.
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
        if self._opening.has_failed and not is_ours:
            self._opening.begin()
        else:
            await self._try_to_open()
        if not is_ours:
            await self._app(scope, receive, send)
        elif self._opening.is_open:
            await self._served(scope, receive, send)
        else:
            await self._served.refuse(Unavailable("not open"), scope, send)

    async def _try_to_open(self) -> None:
        # `Opening` has told the operator; a caller learns only that it is away
        with contextlib.suppress(Exception):
            await self._opening.ensure()
