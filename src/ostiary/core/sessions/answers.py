"""What a caller is answered whose own session has ended."""

from typing import Any, Final

from ostiary.core.plug import Answer, Call, CookieRole, SetCookie

# Removes what pages kept. Not "cookies": with the device's, the browser would be a new one at its next sign-in
_CLEAR_SITE_DATA: Final = ("clear-site-data", '"cache", "storage"')


def signed_out(call: Call[Any], *, also: tuple[CookieRole, ...] = ()) -> Answer:
    """The answer that ends the very session of the call: a browser forgets its tokens, and ``also`` other cookies."""
    if call.transport == "token":
        return Answer(204)
    cookies = tuple(SetCookie(role, "", 0) for role in (CookieRole.ACCESS, CookieRole.REFRESH, *also))
    return Answer(204, cookies=cookies, headers=(_CLEAR_SITE_DATA,))
