"""The response to a caller whose own session has ended."""

from typing import Any, Final

from ostiary.core.plug import Answer, Call, CookieRole, SetCookie

# Removes what pages stored. Not "cookies": without the device cookie, the browser would be a new device at its next
# sign-in.
_CLEAR_SITE_DATA: Final = ("clear-site-data", '"cache", "storage"')


def signed_out(call: Call[Any], *, also: tuple[CookieRole, ...] = ()) -> Answer:
    """The response to a call that ended its own session. A browser deletes its tokens and the cookies in ``also``."""
    if call.transport == "token":
        return Answer(204)
    cookies = tuple(SetCookie(role, "", 0) for role in (CookieRole.ACCESS, CookieRole.REFRESH, *also))
    return Answer(204, cookies=cookies, headers=(_CLEAR_SITE_DATA,))
