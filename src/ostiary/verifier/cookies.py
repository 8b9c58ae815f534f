"""The names of the cookies. A process uses one set of names, which the issuer decides, and never accepts the other."""

import urllib.parse
from typing import Final, NamedTuple

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts of this machine, under which an issuer may use ``http`` in development."""


class CookieNames(NamedTuple):
    access: str
    refresh: str
    device: str
    """Recognises a browser. It does not sign anybody in."""

    @property
    def are_secure(self) -> bool:
        """Whether browsers accept these names only with ``Secure``."""
        return self is not LOOPBACK_COOKIES


HOST_COOKIES: Final = CookieNames("__Host-ostiary_access", "__Host-ostiary_refresh", "__Host-ostiary_device")
"""``__Host-`` keeps sibling hosts from setting these cookies: Secure, Path=/ and no Domain (RFC 6265bis §4.1.3.2)."""

LOOPBACK_COOKIES: Final = CookieNames("ostiary_dev_access", "ostiary_dev_refresh", "ostiary_dev_device")
"""For development over http on this machine: Safari does not store a ``Secure`` cookie there, and ``__Host-`` requires
it. The names differ, so that a server reached over https never accepts a cookie that was set without ``Secure``."""

ACCESS_COOKIE: Final = HOST_COOKIES.access
REFRESH_COOKIE: Final = HOST_COOKIES.refresh


def cookie_names(issuer: str) -> CookieNames:
    """The names that ``issuer`` uses: `LOOPBACK_COOKIES` for ``http`` on this machine, otherwise `HOST_COOKIES`."""
    url = urllib.parse.urlsplit(issuer)
    is_development = url.scheme == "http" and url.hostname in LOOPBACK_HOSTS
    return LOOPBACK_COOKIES if is_development else HOST_COOKIES
