"""What a credential looks like in an HTTP request. It is never read from the URL (RFC 9700 §4.3.2).

Headers are what ASGI gives: pairs of bytes, the names in lower case, in the order received. Where two places could hold
the credential and both do, nobody guesses: the request is refused (RFC 6750 §2).
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

from ostiary.errors import MalformedCredential, MultipleCredentials

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

ACCESS_COOKIE: Final = "__Host-ostiary_access"
REFRESH_COOKIE: Final = "__Host-ostiary_refresh"
"""``__Host-`` keeps siblings of our host from planting them: Secure, Path=/, and no Domain (RFC 6265bis §4.1.3.2)."""


class Credential(NamedTuple):
    token: str
    in_cookie: bool
    """Whether the browser sent it by itself, so that another site may be behind the request."""


def read_access_token(headers: Headers) -> Credential | None:
    """The access token of a request, or None where none came.

    Raises:
        MultipleCredentials: two headers, two cookies of the name, or header and cookie.
        MalformedCredential: a Bearer header that holds no single token.
    """
    listed = list(headers)
    bearer, cookie = read_bearer(listed), read_cookie(listed, ACCESS_COOKIE)
    if bearer is not None and cookie is not None:
        raise MultipleCredentials("an Authorization header and a cookie")
    if bearer is not None:
        return Credential(bearer, in_cookie=False)
    return None if cookie is None else Credential(cookie, in_cookie=True)


_TOKEN68: Final = re.compile(rb"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 §2.1
_BEARER: Final = b"bearer"


def read_bearer(headers: Headers) -> str | None:
    """The token of ``Authorization: Bearer …``, the scheme in any letter case (RFC 9110 §11.1). None for other schemes.

    Raises as `read_access_token`.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if not values:
        return None
    if len(values) > 1:
        raise MultipleCredentials("two Authorization headers")
    scheme, _, token = values[0].strip(b" \t").partition(b" ")
    if scheme.lower() != _BEARER:
        return None
    token = token.lstrip(b" ")
    if not _TOKEN68.fullmatch(token):  # also "Bearer a, Bearer b", two headers that a proxy has joined
        raise MalformedCredential("the Authorization header holds no single token")
    return token.decode("ascii")


def read_cookie(headers: Headers, name: str) -> str | None:
    """The value of the cookie ``name``, or None.

    Only the very name counts: a letter case, a tab or a no-break space that other parsers fold away would let a
    neighbour's cookie pass for ours. Raises MultipleCredentials where the name comes twice (cookie tossing).
    """
    wanted = name.encode("ascii")
    values = [
        value
        for header, cookies in headers
        if header == b"cookie" and wanted in cookies
        for key, equals, value in (cookie.strip(b" ").partition(b"=") for cookie in cookies.split(b";"))
        if key == wanted and equals
    ]
    if len(values) > 1:
        raise MultipleCredentials("the same cookie twice")
    return values[0].decode("latin-1") if values else None
