"""Cookies as they are set: name and attributes for each role."""

import re
from typing import Final

from ostiary.core.plug import CookieRole, SetCookie
from ostiary.verifier.credential import ACCESS_COOKIE, REFRESH_COOKIE

DEVICE_COOKIE: Final = "__Host-ostiary_device"
"""By which a browser is known again. It signs nobody in."""

_MAX_SIZE: Final = 4096  # RFC 6265bis §5.6: a browser drops a longer name and value without a word

_COOKIE_TEXT: Final = re.compile(r"[!#-+\--:<-\[\]-~]*")
"""cookie-octets (RFC 6265 §4.1.1): a ``;`` in a value would write attributes of its own."""

# __Host-: set by this host alone, over https, for every path (RFC 6265bis §4.1.3.2). With Lax a link from elsewhere
# arrives signed in; what renews a session never travels with a request from another site.
_NAMES: Final = {
    CookieRole.ACCESS: ACCESS_COOKIE,
    CookieRole.REFRESH: REFRESH_COOKIE,
    CookieRole.DEVICE: DEVICE_COOKIE,
}
_SAME_SITE: Final = {CookieRole.ACCESS: "Lax", CookieRole.REFRESH: "Strict", CookieRole.DEVICE: "Lax"}


def set_cookie(cookie: SetCookie) -> str:
    """The value of one ``Set-Cookie`` header; ``max_age=0`` clears the cookie.

    Raises:
        ValueError: the value is not made of cookie characters, or is longer than browsers keep.
    """
    name = _NAMES[cookie.role]
    if len(name) + len(cookie.value) >= _MAX_SIZE:
        raise ValueError(f"the {cookie.role} cookie is longer than browsers keep")
    if not _COOKIE_TEXT.fullmatch(cookie.value):
        raise ValueError(f"the {cookie.role} cookie has characters that no cookie may have")
    same_site = _SAME_SITE[cookie.role]
    return f"{name}={cookie.value}; Max-Age={cookie.max_age}; Path=/; Secure; HttpOnly; SameSite={same_site}"
