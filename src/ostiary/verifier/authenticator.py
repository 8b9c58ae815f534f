"""Turns a request's headers into a `Principal`. Every framework integration calls it."""

from collections.abc import Collection
from typing import Final, Protocol, final

from ostiary.verifier.access_token import AccessToken
from ostiary.verifier.cookies import cookie_names
from ostiary.verifier.credential import Headers, read_access_token
from ostiary.verifier.principal import Principal
from ostiary.verifier.requirement import RoleMap
from ostiary.verifier.same_origin import SAFE_METHODS, check_handshake_origin, check_same_origin, checked_origins

WEBSOCKET: Final = "WEBSOCKET"
"""Pass it as ``method`` for the handshake of a WebSocket. It is a GET, but what follows is not safe."""


class Authenticator(Protocol):
    """Finds out who is calling.

    Use `authenticate` in frameworks without an event loop, and `authenticate_async` in those with one.
    """

    @property
    def role_map(self) -> RoleMap | None:
        """role → its permissions, or None if only role names are known."""

    def now(self) -> float:
        """The current time in seconds since the epoch. Pass it to `Requirement.check`."""

    def authenticate(self, headers: Headers, *, method: str) -> Principal | None:
        """The caller of a request, or None if the request has no credential.

        Args:
            headers: Pairs of bytes with names in lower case, as in ASGI.
            method: The HTTP method in upper case, or `WEBSOCKET` for the handshake of a WebSocket.

        Raises:
            InvalidRequest: the credential is malformed, or there are two.
            CrossSiteRequest: the credential is a cookie, the method is unsafe or `WEBSOCKET`, and the request is not
                from this site.
            InvalidToken: the token is not valid.
            Unavailable: keys or revocations are unknown, so the token cannot be checked.
        """

    async def authenticate_async(self, headers: Headers, *, method: str) -> Principal | None:
        """Like `authenticate`. Awaits keys that have to be fetched first."""


class TokenVerifier(Protocol):
    """A `Verifier` or a `RemoteVerifier`."""

    @property
    def issuer(self) -> str:
        """The issuer, which decides the name of its cookies."""

    def verify(self, token: str, /) -> AccessToken: ...

    async def verify_async(self, token: str, /) -> AccessToken: ...

    def now(self) -> float: ...


@final
class TokenAuthenticator:
    """An `Authenticator` for a `Verifier` or a `RemoteVerifier`.

    Args:
        own_origins: The origins under which browsers reach this service, such as ``https://app.example.com``. They are
            needed for requests with cookies from browsers that do not send Fetch Metadata.
        trusted_origins: Other origins that may send requests with cookies.

    Raises:
        ConfigurationError: a browser would never send such an origin.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        *,
        own_origins: Collection[str] = (),
        trusted_origins: Collection[str] = (),
        role_map: RoleMap | None = None,
    ) -> None:
        self._verifier = verifier
        self._cookie_name = cookie_names(verifier.issuer).access
        self._own_origins = checked_origins(own_origins)
        self._trusted_origins = checked_origins(trusted_origins)
        self._role_map = role_map

    @property
    def role_map(self) -> RoleMap | None:
        return self._role_map

    def now(self) -> float:
        return self._verifier.now()

    def authenticate(self, headers: Headers, *, method: str) -> Principal | None:
        token = self._token(headers, method)
        return None if token is None else Principal.of(self._verifier.verify(token))

    async def authenticate_async(self, headers: Headers, *, method: str) -> Principal | None:
        token = self._token(headers, method)
        return None if token is None else Principal.of(await self._verifier.verify_async(token))

    def _token(self, headers: Headers, method: str) -> str | None:
        listed = list(headers)
        credential = read_access_token(listed, cookie_name=self._cookie_name)
        if credential is None:
            return None
        if credential.in_cookie and method not in SAFE_METHODS:
            check = check_handshake_origin if method == WEBSOCKET else check_same_origin
            check(listed, own_origins=self._own_origins, trusted_origins=self._trusted_origins)
        return credential.token
