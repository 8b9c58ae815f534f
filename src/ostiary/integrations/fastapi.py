"""Protect FastAPI routes and WebSockets with a dependency.

::

    guard = Guard(auth)

    @app.get("/api/profile")
    async def profile(me: Annotated[Principal, Depends(guard())]) -> dict: ...
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Literal, TypeAlias, final, overload

from fastapi import HTTPException, Request, Response, WebSocket, WebSocketException
from fastapi.exception_handlers import http_exception_handler
from fastapi.openapi.models import HTTPBearer
from fastapi.responses import JSONResponse
from fastapi.security.base import SecurityBase
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.exceptions import WebSocketException as StarletteWebSocketException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import HTTPConnection
from starlette.types import Scope

from ostiary.errors import OstiaryError, RequestError, Unavailable
from ostiary.integrations.websocket import close_code, refuse, while_valid
from ostiary.verifier import WEBSOCKET, Authenticator, Principal, Requirement, refusal
from ostiary.verifier.challenge import MEDIA_TYPE, Refusal

_LOG: Final = logging.getLogger("ostiary.guard")

_GUARDED: Final = "ostiary.guarded"
_HANDLERS: Final = "starlette.exception_handlers"

_STATUSES: Final = {
    400: "The credential is malformed, or there are two.",
    401: "There is no valid access token, or the sign-in is too weak or too long ago.",
    403: "The caller does not have the required role, permission or scope, or the request is from another site.",
    503: "Ostiary cannot decide at the moment.",
}
"""With which a guard refuses."""

_PROBLEM: Final = {
    "title": "Problem",
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
    },
    "required": ["type", "title", "status", "code"],
}

Caller: TypeAlias = Callable[..., Awaitable[Principal]]
CallerOrNone: TypeAlias = Callable[..., Awaitable[Principal | None]]


class Guard:
    """Creates dependencies that check the caller.

    They answer 401 without a valid token, 403 without the required permission, and 503 if Ostiary cannot decide. A
    WebSocket is refused in the same way, before it is accepted.

    Args:
        authenticator: An `ostiary.Ostiary`, or a `TokenAuthenticator` around a `Verifier`.
    """

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    @overload
    def __call__(
        self,
        *,
        role: str | tuple[str, ...] | None = None,
        permission: str | None = None,
        scope: str | None = None,
        aal: int | None = None,
        max_age: int | None = None,
        optional: Literal[False] = False,
    ) -> Caller: ...

    @overload
    def __call__(
        self,
        *,
        role: str | tuple[str, ...] | None = None,
        permission: str | None = None,
        scope: str | None = None,
        aal: int | None = None,
        max_age: int | None = None,
        optional: Literal[True],
    ) -> CallerOrNone: ...

    def __call__(self, *, optional: bool = False, **asked: Any) -> CallerOrNone:
        """Returns a dependency whose value is the `Principal`.

        The arguments are those of `ostiary.Requirement`. They are checked when the route is defined. With
        ``optional=True`` the value is None if the request has no credential. Two dependencies with the same arguments
        are equal, so ``app.dependency_overrides[guard(role="admin")]`` replaces every ``guard(role="admin")``.
        """
        requirement = Requirement(**asked, optional=optional, role_map=self._authenticator.role_map)
        return _Guarded(self._authenticator, requirement)

    @property
    def responses(self) -> dict[int | str, dict[str, Any]]:
        """The refusals for the app's OpenAPI document: ``APIRouter(responses=guard.responses)``."""
        return {
            status: {"description": meaning, "content": {MEDIA_TYPE: {"schema": _PROBLEM}}}
            for status, meaning in _STATUSES.items()
        }

    def while_valid(self, socket: WebSocket) -> AbstractAsyncContextManager[None]:
        """Ends the block and closes ``socket`` when its token expires or is revoked. Use it after ``accept``.

        The token is checked every second. The close code is 1008, or 1013 if Ostiary cannot decide. The block's
        `await` is cancelled. The code after the block runs, but must not send. Without a credential the block never
        ends.
        """

        async def check() -> None:
            try:
                await self._authenticator.authenticate_async(socket.scope["headers"], method=WEBSOCKET)
            except OstiaryError as error:
                _log("guard.ended", error, socket)
                raise

        return while_valid(socket, check)


@final
class _Guarded(SecurityBase):
    """A dependency. It is a security scheme itself, so that the app's OpenAPI document lists it and the docs pages have
    an Authorize button. A nested dependency for that purpose would cost each request as much as the check."""

    model = HTTPBearer(description="An access token.")
    scheme_name = "Ostiary"

    def __init__(self, authenticator: Authenticator, requirement: Requirement) -> None:
        self._authenticator = authenticator
        self._requirement = requirement
        self._hash = hash(requirement)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, _Guarded)
            and self._authenticator is other._authenticator
            and self._requirement == other._requirement
        )

    def __hash__(self) -> int:
        return self._hash

    async def __call__(self, connection: HTTPConnection) -> Principal | None:
        scope = connection.scope
        scope[_GUARDED] = True
        _answer_errors(scope)
        try:
            principal = await self._authenticator.authenticate_async(scope["headers"], method=_method(scope))
            self._requirement.check(principal, now=self._authenticator.now())
        except OstiaryError as error:
            _log("guard.refused", error, connection)
            _answer_refusals(scope)
            if isinstance(connection, WebSocket):
                raise HandshakeRefused(error) from None
            raise GuardRefused(refusal(error)) from None
        return principal


class GuardRefused(HTTPException):
    """A guard's refusal. The app answers it as `/auth/*` does: with the problem itself, as
    ``application/problem+json``.

    To answer in another way, register a handler for it or for `HTTPException`. ``detail`` is the problem object.
    """

    def __init__(self, refused: Refusal) -> None:
        headers = {name: value for name, value in refused.headers if name != "content-type"}
        super().__init__(refused.status, detail=refused.body, headers=headers)


class HandshakeRefused(WebSocketException):
    """A guard's refusal of a WebSocket. The app answers the handshake with the problem if the server is able to
    (``websocket.http.response``), and otherwise closes it.

    To answer in another way, register a handler for it or for `WebSocketException`. ``code`` is 1008, or 1013 if
    Ostiary cannot decide. ``reason`` is the ``code`` of the problem.
    """

    def __init__(self, error: OstiaryError) -> None:
        super().__init__(close_code(error), error.code)
        self.error = error


async def _answer(_request: Request, error: Exception) -> Response:
    if not isinstance(error, GuardRefused):
        raise error
    return JSONResponse(error.detail, error.status_code, error.headers, media_type=MEDIA_TYPE)


async def _answer_handshake(socket: WebSocket, error: Exception) -> None:
    if not isinstance(error, HandshakeRefused):
        raise error
    await refuse(socket, error.error)


async def _answer_error(connection: HTTPConnection, error: Exception) -> Response | None:
    if not isinstance(error, OstiaryError) or _GUARDED not in connection.scope:
        raise error  # routes without a guard are the app's own, before and after the first guarded request
    _log("request.refused", error, connection)
    if isinstance(connection, WebSocket):
        await refuse(connection, error)
        return None
    refused = refusal(error)
    return JSONResponse(refused.body, refused.status, dict(refused.headers))


# The guard learns which app it serves only from a request. Starlette passes the app's handlers in the scope, so the
# guard's answers also work in routers and sub-applications. The app's own handlers take precedence. If the scope has no
# handlers, FastAPI's own answer remains: the problem in {"detail": …}.


def _answer_errors(scope: Scope) -> None:
    """Registers `_answer_error` for errors of the Python API that a guarded route lets through, such as Forbidden from
    ``auth.acting_as(me)``."""
    handlers = scope.get(_HANDLERS)
    if handlers is not None and OstiaryError not in handlers[0]:
        handlers[0].setdefault(RequestError, _answer_error)
        handlers[0].setdefault(Unavailable, _answer_error)


def _answer_refusals(scope: Scope) -> None:
    """Registers the answers to the guard's own refusals."""
    handlers, by_status = scope.get(_HANDLERS, ({}, {}))
    # an app may register a handler for FastAPI's exceptions or for their base classes in Starlette
    is_usual = handlers.get(StarletteHTTPException) in (http_exception_handler, None) and HTTPException not in handlers
    if is_usual and not by_status.keys() & _STATUSES:
        handlers.setdefault(GuardRefused, _answer)
    if WebSocketException not in handlers and _is_starlettes(handlers.get(StarletteWebSocketException)):
        handlers.setdefault(HandshakeRefused, _answer_handshake)


def _is_starlettes(handler: Any) -> bool:
    return getattr(handler, "__func__", None) is ExceptionMiddleware.websocket_exception


def _method(scope: Scope) -> str:
    method: str = WEBSOCKET if scope["type"] == "websocket" else scope["method"]
    return method


def _log(event: str, error: OstiaryError, connection: HTTPConnection) -> None:
    """Writes one line. Its ``reason`` tells expired, foreign and junk tokens apart. The path is the path of the route:
    the path that was sent may contain ids."""
    route = getattr(connection.scope.get("route"), "path", None)
    level = logging.WARNING if isinstance(error, Unavailable) else logging.INFO
    _LOG.log(level, event, extra={**error.logged(), "method": _method(connection.scope), "path": route})
