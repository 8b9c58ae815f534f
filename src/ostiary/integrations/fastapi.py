"""Protect FastAPI routes with a dependency.

::

    guard = Guard(auth)

    @app.get("/api/profile")
    async def profile(me: Annotated[Principal, Depends(guard())]) -> dict: ...
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal, TypeAlias, overload

from fastapi import HTTPException, Request, Response, Security
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException as StarletteHTTPException

from ostiary.errors import OstiaryError, RequestError, Unavailable
from ostiary.verifier import Authenticator, Principal, Requirement, refusal
from ostiary.verifier.challenge import MEDIA_TYPE, Refusal

_LOG: Final = logging.getLogger("ostiary.guard")

_GUARDED: Final = "ostiary.guarded"

_STATUSES: Final = frozenset({400, 401, 403, 503})
"""With which a guard refuses."""

# Adds the scheme to the app's OpenAPI document, so that the docs pages have an Authorize button. It checks nothing.
_IN_THE_DOCUMENT: Final = HTTPBearer(auto_error=False, scheme_name="Ostiary", description="An access token.")

Caller: TypeAlias = Callable[..., Awaitable[Principal]]
CallerOrNone: TypeAlias = Callable[..., Awaitable[Principal | None]]


class Guard:
    """Creates dependencies that check the caller.

    They answer 401 without a valid token, 403 without the required permission, and 503 if Ostiary cannot decide.

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
        ``optional=True`` the value is None if the request has no credential.
        """
        requirement = Requirement(**asked, optional=optional, role_map=self._authenticator.role_map)

        async def caller(
            request: Request, _documented: Annotated[Any, Security(_IN_THE_DOCUMENT)] = None
        ) -> Principal | None:
            return await self._admit(request, requirement)

        return caller

    async def _admit(self, request: Request, requirement: Requirement) -> Principal | None:
        _install(request)
        request.scope[_GUARDED] = True
        try:
            principal = await self._authenticator.authenticate_async(request.scope["headers"], method=request.method)
            requirement.check(principal, now=self._authenticator.now())
        except OstiaryError as error:
            _log("guard.refused", error, request)
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


async def _answer(_request: Request, error: Exception) -> Response:
    if not isinstance(error, GuardRefused):
        raise error
    return JSONResponse(error.detail, error.status_code, error.headers, media_type=MEDIA_TYPE)


async def _answer_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, OstiaryError) or _GUARDED not in request.scope:
        raise error  # routes without a guard are the app's own, before and after the first guarded request
    _log("request.refused", error, request)
    refused = refusal(error)
    return JSONResponse(refused.body, refused.status, dict(refused.headers))


def _install(request: Request) -> None:
    """Registers `_answer` in the app that serves the request, and `_answer_error` for errors of the Python API that a
    guarded route lets through, such as Forbidden from ``auth.acting_as(me)``. The app's own handlers take precedence.

    The guard learns which app it serves only from a request. Starlette passes the app's handlers in the scope, so this
    also works in routers and sub-applications. If the scope has none, FastAPI's own answer remains: the problem in
    ``{"detail": …}``.
    """
    handlers, by_status = request.scope.get("starlette.exception_handlers", ({}, {}))
    # an app may register a handler for FastAPI's HTTPException or for its base class in Starlette
    is_usual = handlers.get(StarletteHTTPException) in (http_exception_handler, None) and HTTPException not in handlers
    if is_usual and not by_status.keys() & _STATUSES:
        handlers.setdefault(GuardRefused, _answer)
    if OstiaryError not in handlers:
        handlers.setdefault(RequestError, _answer_error)
        handlers.setdefault(Unavailable, _answer_error)


def _log(event: str, error: OstiaryError, request: Request) -> None:
    """Writes one line. Its ``reason`` tells expired, foreign and junk tokens apart. The path is the path of the route:
    the path that was sent may contain ids."""
    route = getattr(request.scope.get("route"), "path", None)
    level = logging.WARNING if isinstance(error, Unavailable) else logging.INFO
    _LOG.log(level, event, extra={**error.logged(), "method": request.method, "path": route})
