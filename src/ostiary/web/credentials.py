"""Reads the credentials that a route declares. If a request has two credentials for one role, it is refused, because
Ostiary never guesses which one counts."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

import msgspec

from ostiary.core.plug import Credential
from ostiary.errors import MissingCredential, MissingToken, MultipleCredentials
from ostiary.verifier import CookieNames, Headers, read_access_token, read_cookie
from ostiary.verifier import Credential as Token


class Shown(NamedTuple):
    access: Token | None = None
    refresh: Token | None = None

    @property
    def in_cookie(self) -> bool:
        """Whether a browser sent one automatically."""
        return any(token is not None and token.in_cookie for token in self)


Read: TypeAlias = Callable[[Headers, msgspec.Struct, CookieNames], Shown]


def _nothing(_headers: Headers, _body: msgspec.Struct, _names: CookieNames) -> Shown:
    return _NOTHING


def _access(headers: Headers, _body: msgspec.Struct, names: CookieNames) -> Shown:
    token = read_access_token(headers, cookie_name=names.access)
    if token is None:
        raise MissingCredential
    return Shown(access=token)


def _refresh(headers: Headers, body: msgspec.Struct, names: CookieNames) -> Shown:
    token = _refresh_token(headers, body, names)
    if token is None:
        raise MissingToken
    return Shown(refresh=token)


def _any(headers: Headers, body: msgspec.Struct, names: CookieNames) -> Shown:
    return Shown(
        access=read_access_token(headers, cookie_name=names.access), refresh=_refresh_token(headers, body, names)
    )


def _refresh_token(headers: Headers, body: msgspec.Struct, names: CookieNames) -> Token | None:
    given: str | None = getattr(body, "refresh_token", None)
    cookie = read_cookie(headers, names.refresh)
    if given is not None and cookie is not None:
        raise MultipleCredentials("a refresh token in the body and one in a cookie")
    if given is not None:
        return Token(given, in_cookie=False)
    return None if cookie is None else Token(cookie, in_cookie=True)


_NOTHING: Final = Shown()

READERS: Final[Mapping[Credential, Read]] = {
    Credential.NONE: _nothing,
    Credential.ACCESS: _access,
    Credential.REFRESH: _refresh,
    Credential.ANY: _any,
    Credential.CLIENT: _nothing,  # a client sends no token: see `ostiary.web.clients`
}


def read_device_token(headers: Headers, body: msgspec.Struct, names: CookieNames, *, with_cookies: bool) -> str | None:
    """The field ``device_token``, or the cookie. The cookie is read only ``with_cookies``.

    Raises:
        MultipleCredentials: the request has both, or two cookies.
    """
    given: str | None = getattr(body, "device_token", None)
    cookie = read_cookie(headers, names.device) if with_cookies else None
    if given is not None and cookie is not None:
        raise MultipleCredentials("a device token in the body and one in a cookie")
    return cookie if given is None else given
