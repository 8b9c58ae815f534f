"""Cross-origin requests (CORS, Fetch Standard §3.3): the trusted origins may read every answer, refusals included."""

from collections.abc import Iterable
from typing import Final, TypeAlias

from starlette.types import Scope

from ostiary.core.plug import Credential, Route
from ostiary.web.edge import Edge

Fields: TypeAlias = list[tuple[bytes, bytes]]

_METHODS: Final = b"GET, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS: Final = b"Authorization, Content-Type, DPoP"
_RESPONSE_HEADERS: Final = b"Date, Retry-After, WWW-Authenticate, DPoP-Nonce, X-Request-Id"
_SECONDS_TO_KEEP: Final = b"600"  # how long a browser does not repeat a preflight request

_VARY: Final = (b"vary", b"Origin")
"""On every answer, so that no cache gives one origin's answer to another (§3.3.5)."""


class Cors:
    """The headers for the trusted origins. An origin must match exactly, and ``null`` never does."""

    def __init__(self, edge: Edge) -> None:
        self._trusted: Final = {origin.encode("ascii") for origin in edge.readers}
        self._with_cookies: Final = {origin.encode("ascii") for origin in edge.trusted_origins}

    def is_preflight(self, scope: Scope) -> bool:
        """Whether a browser asks if a trusted origin may send a request."""
        return is_preflight(scope) and self._origin(scope) is not None

    def preflight(self, scope: Scope) -> Fields:
        """The headers of the answer to a preflight request. They are the same for every path, also for one that does
        not exist: the page can then read why its request is refused."""
        return [
            *self.fields(scope, None),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _REQUEST_HEADERS),
            (b"access-control-max-age", _SECONDS_TO_KEEP),
        ]

    def fields(self, scope: Scope, route: Route | None) -> Fields:
        """The headers to add to an answer. Routes for service clients have none: no browser calls them."""
        if not self._trusted or (route is not None and route.credential is Credential.CLIENT):
            return []
        origin = self._origin(scope)
        if origin is None:
            return [_VARY]
        fields = [
            _VARY,
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _RESPONSE_HEADERS),
        ]
        if origin in self._with_cookies and b"cross-site" not in _values(scope["headers"], b"sec-fetch-site"):
            fields.append((b"access-control-allow-credentials", b"true"))
        return fields

    def _origin(self, scope: Scope) -> bytes | None:
        """The origin of the request, if it is trusted."""
        origins = _values(scope["headers"], b"origin")
        return origins[0] if len(origins) == 1 and origins[0] in self._trusted else None


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks if a page of any origin may send a request."""
    if scope["method"] != "OPTIONS":
        return False
    return any(name == b"access-control-request-method" for name, _ in scope["headers"])


def _values(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]
