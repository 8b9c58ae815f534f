"""The defence against cross-site requests: the browser says where a request comes from, and we believe nothing less.

Needed for every unsafe request that carries or sets cookies, signing in included. Tokens in headers need none: no other
site can make a browser send them.
"""

import re
from collections.abc import Collection
from typing import Final

from ostiary.errors import ConfigurationError, CrossSiteRequest
from ostiary.verifier.credential import Headers

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110 §9.2.1, without TRACE


def check_same_origin(headers: Headers, *, own_origins: frozenset[str], trusted_origins: frozenset[str]) -> None:
    """Returns if the request comes from this site or from a trusted origin. Make the sets with `checked_origins`.

    Raises:
        CrossSiteRequest: it does not, neither header says from where, or one came twice.
    """
    listed = list(headers)
    site, origin = _single(listed, b"sec-fetch-site"), _single(listed, b"origin")
    if not _is_allowed(site, origin, own_origins, trusted_origins):
        raise CrossSiteRequest("from another site, or not said from where")


def _is_allowed(site: str | None, origin: str | None, own: frozenset[str], trusted: frozenset[str]) -> bool:
    if site is None:  # a browser without Fetch Metadata. ``null``, which every page can have, is in neither set
        return origin in own or origin in trusted
    if site == "same-origin":
        return origin is None or origin in own or origin in trusted
    # From elsewhere, or typed by hand (``none``). Our own origin would then have come through another site's redirect.
    return origin in trusted


def _single(headers: Headers, name: bytes) -> str | None:
    values = [value for key, value in headers if key == name]
    if len(values) > 1:
        raise CrossSiteRequest("a header that must be single came twice")
    return values[0].decode("latin-1") if values else None


_ORIGIN: Final = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")


def checked_origins(origins: Collection[str]) -> frozenset[str]:
    """The origins as browsers write them. Raises ConfigurationError for what no browser would send, such as a path."""
    for origin in origins:
        if isinstance(origins, str) or not _ORIGIN.fullmatch(origin):
            raise ConfigurationError(f"an origin is like https://app.example.com, not {origin!r}")
    return frozenset(origins)
