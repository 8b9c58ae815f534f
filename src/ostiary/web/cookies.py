"""Writes Set-Cookie headers: the name and the attributes of each role."""

import re
from typing import Final

from ostiary.core.plug import CookieRole, SetCookie
from ostiary.verifier import CookieNames

_MAX_SIZE: Final = 4096  # RFC 6265bis §5.6: browsers silently drop a cookie with a longer name and value

_COOKIE_TEXT: Final = re.compile(r"[!#-+\--:<-\[\]-~]*")
"""cookie-octets (RFC 6265 §4.1.1). A ``;`` in a value could add attributes."""

# With Lax, a user who follows a link from another site arrives signed in. The refresh cookie is never sent from another
# site.
_SAME_SITE: Final = {CookieRole.ACCESS: "Lax", CookieRole.REFRESH: "Strict", CookieRole.DEVICE: "Lax"}


def set_cookie(cookie: SetCookie, names: CookieNames) -> str:
    """The value of one ``Set-Cookie`` header. ``max_age=0`` deletes the cookie.

    Raises:
        ValueError: the value has characters that cookies cannot contain, or is longer than browsers accept.
    """
    name: str = getattr(names, cookie.role)
    if len(name) + len(cookie.value) >= _MAX_SIZE:
        raise ValueError(f"the {cookie.role} cookie is longer than browsers accept")
    if not _COOKIE_TEXT.fullmatch(cookie.value):
        raise ValueError(f"the {cookie.role} cookie has characters that cookies cannot contain")
    same_site = _SAME_SITE[cookie.role]
    secure = "Secure; " if names.are_secure else ""
    return f"{name}={cookie.value}; Max-Age={cookie.max_age}; Path=/; {secure}HttpOnly; SameSite={same_site}"
