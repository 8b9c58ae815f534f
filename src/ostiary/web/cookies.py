"""Writes Set-Cookie headers: the name and the attributes of each role."""

import re
from typing import Final

from ostiary.core.plug import CookieRole, SetCookie
from ostiary.verifier.credential import ACCESS_COOKIE, REFRESH_COOKIE

DEVICE_COOKIE: Final = "__Host-ostiary_device"
"""Recognises a browser. It does not sign anybody in."""

_MAX_SIZE: Final = 4096  # RFC 6265bis §5.6: browsers silently drop a cookie with a longer name and value

_COOKIE_TEXT: Final = re.compile(r"[!#-+\--:<-\[\]-~]*")
"""cookie-octets (RFC 6265 §4.1.1). A ``;`` in a value could add attributes."""

# __Host-: only this host can set the cookie, only over https, and for every path (RFC 6265bis §4.1.3.2). With Lax, a
# user who follows a link from another site arrives signed in. The refresh cookie is never sent from another site.
_NAMES: Final = {
    CookieRole.ACCESS: ACCESS_COOKIE,
    CookieRole.REFRESH: REFRESH_COOKIE,
    CookieRole.DEVICE: DEVICE_COOKIE,
}
_SAME_SITE: Final = {CookieRole.ACCESS: "Lax", CookieRole.REFRESH: "Strict", CookieRole.DEVICE: "Lax"}


def set_cookie(cookie: SetCookie) -> str:
    """The value of one ``Set-Cookie`` header. ``max_age=0`` deletes the cookie.

    Raises:
        ValueError: the value has characters that cookies cannot contain, or is longer than browsers accept.
    """
    name = _NAMES[cookie.role]
    if len(name) + len(cookie.value) >= _MAX_SIZE:
        raise ValueError(f"the {cookie.role} cookie is longer than browsers accept")
    if not _COOKIE_TEXT.fullmatch(cookie.value):
        raise ValueError(f"the {cookie.role} cookie has characters that cookies cannot contain")
    same_site = _SAME_SITE[cookie.role]
    return f"{name}={cookie.value}; Max-Age={cookie.max_age}; Path=/; Secure; HttpOnly; SameSite={same_site}"
