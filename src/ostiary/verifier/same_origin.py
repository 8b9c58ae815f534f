"""Protection against cross-site requests, based on the headers in which browsers say where a request comes from.

Required for every unsafe request that carries or sets cookies, including the sign-in. Tokens in headers do not need it,
because no other site can make a browser send them.
"""

import re
from collections.abc import Collection
from typing import Final

from ostiary.errors import ConfigurationError, CrossSiteOrigin, CrossSiteRequest
from ostiary.verifier.credential import Headers

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110 §9.2.1, without TRACE


def check_same_origin(headers: Headers, *, own_origins: frozenset[str], trusted_origins: frozenset[str]) -> None:
    """Checks that the request comes from this site or a trusted origin. Create the sets with `checked_origins`.

    Raises:
        CrossSiteRequest: the request comes from another site, has neither header, or has one of them twice.
        CrossSiteOrigin: it comes from a trusted origin on another site, whose cookies browsers drop or soon will.
    """
    listed = list(headers)
    site, origin = _single(listed, b"sec-fetch-site"), _single(listed, b"origin")
    if not _is_allowed(site, origin, own_origins, trusted_origins):
        raise CrossSiteRequest("the request is from another site, or its Sec-Fetch-Site and Origin headers do not say")


def check_handshake_origin(headers: Headers, *, own_origins: frozenset[str], trusted_origins: frozenset[str]) -> None:
    """Checks the handshake of a WebSocket, which any page may start with the cookies of this site (RFC 6455 §10.2).

    Every browser sends ``Origin`` with it. Not all send Fetch Metadata, so that header is not read.

    Raises:
        CrossSiteRequest: the handshake comes from another site, or has no ``Origin`` or two.
    """
    origin = _single(headers, b"origin")
    if origin not in own_origins and origin not in trusted_origins:
        raise CrossSiteRequest("the WebSocket is from another site, or has no Origin header")


def _is_allowed(site: str | None, origin: str | None, own: frozenset[str], trusted: frozenset[str]) -> bool:
    if site is None:  # a browser without Fetch Metadata. Any page can send ``null``, which is in neither set.
        return origin in own or origin in trusted
    if site == "same-origin":
        return origin is None or origin in own or origin in trusted
    if site == "cross-site" and origin in trusted:
        raise CrossSiteOrigin(f"{origin} is trusted, but it is another site")
    # From a sibling host, or entered by hand (``none``). With our own origin, another site redirected the request.
    return origin in trusted


def _single(headers: Headers, name: bytes) -> str | None:
    values = [value for key, value in headers if key == name]
    if len(values) > 1:
        raise CrossSiteRequest(f"the request has the header {name.decode()} more than once")
    return values[0].decode("latin-1") if values else None


_ORIGIN: Final = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")


def checked_origins(origins: Collection[str]) -> frozenset[str]:
    """The origins, if they are written as browsers send them: scheme, host and port, without a path.

    Raises:
        ConfigurationError: a browser would never send such an origin.
    """
    for origin in origins:
        if isinstance(origins, str) or not _ORIGIN.fullmatch(origin):
            raise ConfigurationError(f"an origin must be like https://app.example.com, without a path, not {origin!r}")
    return frozenset(origins)
