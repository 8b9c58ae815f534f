"""Protect FastAPI routes with a dependency.

::

    guard = Guard(auth)

    @app.get("/api/profile")
    async def profile(me: Annotated[Principal, Depends(guard())]) -> dict: ...
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal, TypeAlias, overload

from fastapi import HTTPException, Request, Security
from fastapi.security import HTTPBearer

from ostiary.errors import OstiaryError
from ostiary.verifier import Authenticator, Principal, Requirement, refusal

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
        try:
            principal = await self._authenticator.authenticate_async(request.scope["headers"], method=request.method)
            requirement.check(principal, now=self._authenticator.now())
        except OstiaryError as error:
            refused = refusal(error)
            # raised as an HTTPException, so that the app's own handlers for it apply
            headers = {name: value for name, value in refused.headers if name != "content-type"}
            raise HTTPException(refused.status, detail=refused.body, headers=headers) from None
        return principal
