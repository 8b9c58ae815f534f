"""Read credentials from the headers of an HTTP request. They are never read from the URL (RFC 9700 §4.3.2).

Headers are pairs of bytes with names in lower case, in the order received, as in ASGI. A request with two credentials
is refused, because the right one would be a guess (RFC 6750 §2).
"""

import functools
import re
import string
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

from ostiary.errors import MalformedCredential, MultipleCredentials
from ostiary.verifier.cookies import ACCESS_COOKIE

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]


class Credential(NamedTuple):
    token: str
    in_cookie: bool
    """Whether the browser sent it automatically, so that another site may have caused the request."""


def read_access_token(headers: Headers, *, cookie_name: str = ACCESS_COOKIE) -> Credential | None:
    """The access token of a request, or None if it has none. For ``cookie_name``, see `cookie_names`.

    Raises:
        MultipleCredentials: there are two headers, two cookies of that name, or a header and a cookie.
        MalformedCredential: the Bearer header does not hold exactly one token.
    """
    listed = list(headers)
    bearer, cookie = read_bearer(listed), read_cookie(listed, cookie_name)
    if bearer is not None and cookie is not None:
        raise MultipleCredentials("the request has both an Authorization header and an access cookie: send only one")
    if bearer is not None:
        return Credential(bearer, in_cookie=False)
    return None if cookie is None else Credential(cookie, in_cookie=True)


_TOKEN68: Final = (string.ascii_letters + string.digits + "-._~+/").encode()  # RFC 6750 §2.1; then any number of "="
_BEARER: Final = b"bearer"


def read_bearer(headers: Headers) -> str | None:
    """The token of ``Authorization: Bearer …``, or None for other schemes.

    The scheme may have any letter case (RFC 9110 §11.1). Raises as `read_access_token`.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if not values:
        return None
    if len(values) > 1:
        raise MultipleCredentials("the request has more than one Authorization header: send only one")
    scheme, _, token = values[0].strip(b" \t").partition(b" ")
    if scheme.lower() != _BEARER:
        return None
    token = token.lstrip(b" ")
    unpadded = token.rstrip(b"=")
    # also refuses "Bearer a, Bearer b": two headers that a proxy joined
    if not unpadded or unpadded.translate(None, delete=_TOKEN68):  # twice as fast as a regular expression
        raise MalformedCredential("the Authorization header must hold exactly one Bearer token")
    return token.decode("ascii")


def read_cookie(headers: Headers, name: str) -> str | None:
    """The value of the cookie ``name``, or None.

    The name must match exactly. Other parsers ignore letter case, tabs or no-break spaces, and a sibling host could
    then pass its cookie off as ours. Raises MultipleCredentials if the name occurs twice (cookie tossing).
    """
    carried = [cookies for header, cookies in headers if header == b"cookie"]
    if not carried:
        return None
    wanted, pattern = _cookie_pattern(name)
    values = [value for cookies in carried if wanted in cookies for value in pattern.findall(cookies)]
    if len(values) > 1:
        raise MultipleCredentials(f"the request has the cookie {name} more than once")
    return values[0].rstrip(b" ").decode("latin-1") if values else None


@functools.lru_cache(maxsize=16)
def _cookie_pattern(name: str) -> tuple[bytes, re.Pattern[bytes]]:
    """The name, and a pattern that finds its values in one pass. A header of 64 KB can have 65,000 cookies, and
    splitting it would occupy the event loop."""
    wanted = name.encode("ascii")
    return wanted, re.compile(rb"(?:\A|;) *" + re.escape(wanted) + rb"=([^;]*)")
