"""From a request's headers to its `Principal`: what every framework's guard calls."""

from collections.abc import Collection
from typing import Protocol, final

from ostiary.verifier.access_token import AccessToken
from ostiary.verifier.credential import Headers, read_access_token
from ostiary.verifier.principal import Principal
from ostiary.verifier.requirement import RoleMap
from ostiary.verifier.same_origin import SAFE_METHODS, check_same_origin, checked_origins


class Authenticator(Protocol):
    """Tells who is calling: for frameworks without an event loop by `authenticate`, for those with one by its twin."""

    @property
    def role_map(self) -> RoleMap | None:
        """role → its permissions, or None where only role names are known."""

    def now(self) -> float:
        """The time that decides about tokens, in seconds since the epoch: what `Requirement.check` is to be given."""

    def authenticate(self, headers: Headers, *, method: str) -> Principal | None:
        """The caller of a request, or None if it carries no credential.

        Args:
            headers: As ASGI gives them: pairs of bytes, names in lower case.
            method: The HTTP method, in upper case.

        Raises:
            InvalidRequest: the credential is malformed, or there are two.
            CrossSiteRequest: it came in a cookie, for an unsafe method, and not from this site.
            InvalidToken: it is not good.
            Unavailable: it cannot be known whether it is.
        """

    async def authenticate_async(self, headers: Headers, *, method: str) -> Principal | None:
        """As `authenticate`. Where keys have to be fetched first, it awaits them."""


class TokenVerifier(Protocol):
    """A `Verifier` or a `RemoteVerifier`."""

    def verify(self, token: str, /) -> AccessToken: ...

    async def verify_async(self, token: str, /) -> AccessToken: ...

    def now(self) -> float: ...


@final
class TokenAuthenticator:
    """The `Authenticator` of whoever has a `Verifier` or a `RemoteVerifier`.

    Args:
        own_origins: Under which browsers reach this service, such as ``https://app.example.com``. For requests with
            cookies from browsers that send no Fetch Metadata.
        trusted_origins: Other origins that may send requests with cookies.

    Raises:
        ConfigurationError: an origin that no browser would send.
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
        credential = read_access_token(listed)
        if credential is None:
            return None
        if credential.in_cookie and method not in SAFE_METHODS:
            check_same_origin(listed, own_origins=self._own_origins, trusted_origins=self._trusted_origins)
        return credential.token
