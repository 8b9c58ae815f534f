"""Routes as an ASGI app. Pure ASGI: no middleware stands between the server and an endpoint."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from starlette.types import Receive, Scope, Send

from ostiary.core.entropy import SystemRandom
from ostiary.core.plug import Ambient, Place, Route, Speaks
from ostiary.core.settings import Settings
from ostiary.errors import (
    InvalidBody,
    InvalidQuery,
    MethodNotAllowed,
    NotFound,
    OstiaryError,
    RequestError,
    Unavailable,
)
from ostiary.trace import trace
from ostiary.web.edge import Edge, placed
from ostiary.web.endpoint import Endpoint
from ostiary.web.response import Renderer, Response
from ostiary.web.routes import with_own
from ostiary.web.source import is_from_proxy
from ostiary.web.stated import is_stated
from ostiary.web.table import Found, Table, path_of

_LOG: Final = logging.getLogger("ostiary.web")

_POLICY_VIOLATION: Final = 1008  # RFC 6455 §7.4.1

_REQUEST_ID_SIZE: Final = 12  # random bytes
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,64}")


def application(
    routes: Sequence[Route], *, settings: Settings, ambient: Callable[[], Ambient], alone: bool
) -> "Application":
    """The ASGI app of ``routes`` and the edge's own.

    Args:
        ambient: what surrounds calls, asked at each request. Raises `ostiary.errors.Unavailable` while not open.
        alone: whether the whole host is Ostiary's, so that ``/healthz`` and ``/readyz`` are served too.

    Raises:
        TypeError: two routes of one method and path, or one whose limit or body cannot be.
    """
    return Application(with_own(routes, settings=settings, alone=alone), settings=settings, ambient=ambient)


class Application:
    """Finds the route, lets its endpoint answer, and says what went wrong where it does not."""

    def __init__(self, routes: Sequence[Route], *, settings: Settings, ambient: Callable[[], Ambient]) -> None:
        self._ambient = ambient
        self._edge = Edge.of(settings)
        self._renderer = Renderer(is_https=self._edge.is_https)
        self._random = SystemRandom()
        self._prefix = settings.prefix
        self._roots = frozenset(placed(route, settings) for route in routes if route.place is Place.ROOT)
        endpoints = [Endpoint(route, edge=self._edge, settings=settings) for route in routes]
        self._table = Table((each.route.method, placed(each.route, settings), each) for each in endpoints)

    def owns(self, path: str) -> bool:
        """Whether a path is ours: everything under the prefix, and the very paths at the root of the host."""
        return path in self._roots or path == self._prefix or path.startswith(self._prefix + "/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request_id = self._request_id(scope)
            await _send(await self._respond(scope, receive, request_id), scope, send)
        else:
            await _decline(scope, send)

    async def refuse(self, error: OstiaryError, scope: Scope, send: Send) -> None:
        """Answers with ``error``, for who stands in front."""
        if scope["type"] == "http":
            speaks = _spoken(self._table.find(path_of(scope)), _method(scope))
            response = self._renderer.refusal(error, speaks=speaks, request_id=self._request_id(scope))
            await _send(response, scope, send)
        else:
            await _decline(scope, send)

    async def _respond(self, scope: Scope, receive: Receive, request_id: str) -> Response:
        found, method = self._table.find(path_of(scope)), _method(scope)
        refused = partial(self._renderer.refusal, speaks=_spoken(found, method), request_id=request_id)
        if found is None:
            return refused(NotFound())
        endpoint = found.methods.get(method)
        if endpoint is None:
            return refused(MethodNotAllowed(), allow=_allowed(found.methods))
        try:
            answer = await endpoint.answer(
                scope, receive, ambient=self._ambient(), path=found.parameters, request_id=request_id
            )
            return self._renderer.answer(answer, may_be_kept=endpoint.is_public, request_id=request_id)
        except (RequestError, Unavailable) as error:
            _log_refusal(error, endpoint.route, request_id)
            return refused(error)
        except Exception as error:  # noqa: BLE001 - a caller learns nothing of it; the log, where it was
            extra = {"request_id": request_id}
            _LOG.error(
                "%s %s failed, request %s: %s", method, endpoint.route.path, request_id, trace(error), extra=extra
            )
            return refused(OstiaryError())

    def _request_id(self, scope: Scope) -> str:
        """Our own, or the one that a trusted proxy gave; a caller's would let it forge lines in our logs."""
        given: list[bytes] = [value for name, value in scope["headers"] if name == b"x-request-id"]
        if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]) and is_from_proxy(scope, proxies=self._edge.proxies):
            return given[0].decode("ascii")
        return self._random.token(_REQUEST_ID_SIZE).hex()


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return "GET" if method == "HEAD" else method


def _spoken(found: Found[Endpoint] | None, method: str) -> Speaks:
    """How refusals are told: also of a method that the path does not have, as one of its routes would."""
    if found is None:
        return Speaks.JSON
    endpoint = found.methods.get(method) or next(iter(found.methods.values()))
    return endpoint.route.speaks


def _allowed(methods: Mapping[str, Endpoint]) -> list[str]:
    return sorted({*methods, "HEAD"} if "GET" in methods else methods)


def _log_refusal(error: RequestError | Unavailable, route: Route, request_id: str) -> None:
    """One line; the detail escaped, because parts of it may be the caller's words. Not that of a body
    or query: it names fields, and where a field is unknown its name may be anything, a password too.

    A refusal that is not in the document is answered all the same: it is right, and what the route states is wrong.
    """
    level = logging.WARNING if isinstance(error, Unavailable) else logging.INFO
    extra = {"request_id": request_id}
    name = type(error).__name__
    if not is_stated(error, route):
        _LOG.error("%s %s: %s is not stated by the route", route.method, route.path, name, extra=extra)
    detail = "" if isinstance(error, InvalidBody | InvalidQuery) else error.detail
    said = (route.method, route.path, request_id, name, detail)
    _LOG.log(level, "%s %s refused, request %s: %s %a", *said, extra=extra)


async def _send(response: Response, scope: Scope, send: Send) -> None:
    await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
    # RFC 9110 §9.3.2: HEAD has the headers of GET, its length included, and no body
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})


async def _decline(scope: Scope, send: Send) -> None:
    """There are no websockets here, and no lifespan of our own: `Embedded` has it."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
