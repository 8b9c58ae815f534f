"""Routes as an ASGI app. Pure ASGI: no middleware stands between the server and an endpoint."""

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from ostiary.core.entropy import SystemRandom
from ostiary.core.plug import Ambient, Place, Route, Source, Speaks
from ostiary.core.settings import Settings
from ostiary.errors import (
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    OstiaryError,
    RequestError,
    Unavailable,
)
from ostiary.trace import trace
from ostiary.web.cors import Cors, is_preflight
from ostiary.web.edge import Edge, placed
from ostiary.web.endpoint import Endpoint
from ostiary.web.host import check_host
from ostiary.web.response import Renderer, Response
from ostiary.web.routes import with_own
from ostiary.web.settings import WebSettings
from ostiary.web.source import is_from_proxy, source_of
from ostiary.web.stated import is_stated
from ostiary.web.table import Found, Table

_LOG: Final = logging.getLogger("ostiary.web")

_POLICY_VIOLATION: Final = 1008  # RFC 6455 §7.4.1

_REQUEST_ID_SIZE: Final = 12  # random bytes
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,64}")


def application(
    routes: Sequence[Route], *, settings: Settings, ambient: Callable[[], Ambient], alone: bool
) -> "Application":
    """The ASGI app of ``routes`` and the edge's own.

    Args:
        ambient: returns the surroundings of a call. Called for each request. Raises `ostiary.errors.Unavailable` while
            Ostiary is not open.
        alone: whether Ostiary serves the whole host, and therefore also ``/healthz`` and ``/readyz``.

    Raises:
        TypeError: two routes have the same method and path, or a route has an invalid limit or body.
    """
    return Application(with_own(routes, settings=settings, alone=alone), settings=settings, ambient=ambient)


class Application:
    """Finds the route, calls its endpoint, turns errors into answers, and logs."""

    def __init__(self, routes: Sequence[Route], *, settings: Settings, ambient: Callable[[], Ambient]) -> None:
        self._ambient = ambient
        self._edge = Edge.of(settings)
        self._renderer = Renderer(is_https=self._edge.is_https, cookies=self._edge.cookies)
        self._cors = Cors(self._edge)
        self._logs_access = settings.of(WebSettings).access_log
        self._random = SystemRandom()
        self._prefix = settings.prefix
        self._roots = frozenset(placed(route, settings) for route in routes if route.place is Place.ROOT)
        endpoints = [Endpoint(route, edge=self._edge, settings=settings) for route in routes]
        self._table = Table((each.route.method, placed(each.route, settings), each) for each in endpoints)

    def owns(self, path: str) -> bool:
        """Whether Ostiary serves this path: everything below the prefix, and single paths at the root of the host."""
        return path in self._roots or path == self._prefix or path.startswith(self._prefix + "/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            began = time.perf_counter()
            request = self._request(scope)
            response = await self._respond(scope, receive, request)
            await self._send(response, request, scope, send)
            if self._logs_access and not request.is_logged:
                took = round((time.perf_counter() - began) * 1000)
                request.log(logging.INFO, "request.served", status=response.status, milliseconds=took)
        else:
            await _decline(scope, send)

    async def refuse(self, error: OstiaryError, scope: Scope, send: Send) -> None:
        """Answers with ``error`` without calling the endpoint."""
        if scope["type"] == "http":
            request = self._request(scope)
            _log_refusal(error, request)
            await self._send(self._refusal(error, request), request, scope, send)
        else:
            await _decline(scope, send)

    async def _respond(self, scope: Scope, receive: Receive, request: "_Request") -> Response:
        try:
            check_host(scope)
        except InvalidRequest as error:
            return self._refused(error, request)
        if self._cors.is_preflight(scope):
            return self._renderer.preflight(request_id=request.id)
        if request.found is None:
            return self._refused(NotFound("no such path"), request)
        endpoint = request.found.methods.get(request.method)
        if endpoint is None:
            reason = "no such method"
            if is_preflight(scope):
                reason = "a preflight request from an origin that is not in web.trusted_origins"
            return self._refused(MethodNotAllowed(reason), request, allow=_allowed(request.found.methods))
        try:
            answer = await endpoint.answer(
                scope,
                receive,
                ambient=self._ambient(),
                path=request.found.parameters,
                source=request.source,
                request_id=request.id,
            )
            return self._renderer.answer(answer, may_be_kept=endpoint.is_public, request_id=request.id)
        except (RequestError, Unavailable) as error:
            return self._refused(error, request, route=endpoint.route)
        except Exception as error:  # noqa: BLE001 - the caller is told nothing; the log line has the place
            failure = OstiaryError()
            request.log(logging.ERROR, "request.failed", status=failure.status, code=failure.code, error=trace(error))
            return self._refusal(failure, request)

    async def _send(self, response: Response, request: "_Request", scope: Scope, send: Send) -> None:
        if self._cors.is_preflight(scope):
            fields = self._cors.preflight(scope)
        else:
            fields = self._cors.fields(scope, request.route)
        # what is open to every origin says so already, and must not say it twice
        if fields and not any(name == b"access-control-allow-origin" for name, _ in response.headers):
            response.headers.extend(fields)
        await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        # RFC 9110 §9.3.2: HEAD has the headers of GET, including its length, and no body
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})

    def _refused(
        self, error: OstiaryError, request: "_Request", *, route: Route | None = None, allow: Sequence[str] = ()
    ) -> Response:
        _log_refusal(error, request, route)
        return self._refusal(error, request, allow=allow)

    def _refusal(self, error: OstiaryError, request: "_Request", *, allow: Sequence[str] = ()) -> Response:
        return self._renderer.refusal(error, speaks=request.speaks, request_id=request.id, allow=allow)

    def _request(self, scope: Scope) -> "_Request":
        source = source_of(scope, proxies=self._edge.proxies)
        return _Request(scope, self._table, self._request_id(scope), source)

    def _request_id(self, scope: Scope) -> str:
        """A new id, or the one from a trusted proxy. An id from the caller could forge lines in our logs."""
        given: list[bytes] = [value for name, value in scope["headers"] if name == b"x-request-id"]
        if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]) and is_from_proxy(scope, proxies=self._edge.proxies):
            return given[0].decode("ascii")
        return self._random.token(_REQUEST_ID_SIZE).hex()


class _Request:
    """What is known about a request before its endpoint is called. Writes the request's log line."""

    __slots__ = ("found", "id", "is_logged", "method", "sent_method", "source")

    def __init__(self, scope: Scope, table: Table[Endpoint], request_id: str, source: Source) -> None:
        self.id: Final = request_id
        self.source: Final = source
        self.sent_method: Final[str] = scope["method"]
        self.method: Final = "GET" if self.sent_method == "HEAD" else self.sent_method
        self.found: Final = table.find_in(scope)
        self.is_logged = False

    @property
    def route(self) -> Route | None:
        """The route. For a method that the path does not have, one of its other routes."""
        return None if self.found is None else _endpoint_of(self.found, self.method).route

    @property
    def speaks(self) -> Speaks:
        """The format of errors."""
        return Speaks.JSON if self.route is None else self.route.speaks

    def log(self, level: int, event: str, **fields: Any) -> None:
        """Writes one line. The path is the path of the route: the path that was sent may contain ids and tokens."""
        self.is_logged = True
        path = None if self.route is None else self.route.path
        known = {"method": self.sent_method, "path": path, "source": self.source.address, "request_id": self.id}
        _LOG.log(level, event, extra={**fields, **known})


def _endpoint_of(found: Found[Endpoint], method: str) -> Endpoint:
    return found.methods.get(method) or next(iter(found.methods.values()))


def _allowed(methods: Mapping[str, Endpoint]) -> list[str]:
    return sorted({*methods, "HEAD"} if "GET" in methods else methods)


def _log_refusal(error: OstiaryError, request: _Request, route: Route | None = None) -> None:
    """Writes one line. An error that the route does not declare is answered as well, but it is a bug in Ostiary."""
    is_bug = route is not None and not is_stated(error, route)
    level = logging.ERROR if is_bug else logging.WARNING if isinstance(error, Unavailable) else logging.INFO
    fields = error.logged()
    if is_bug:
        fields["mistake"] = "the route does not state this refusal"
    request.log(level, "request.refused", **fields)


async def _decline(scope: Scope, send: Send) -> None:
    """Refuses websockets. `Embedded` handles the lifespan."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
