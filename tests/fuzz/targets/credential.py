"""Any headers, one per line. A token comes from exactly one place, and a cookie must have exactly the expected name."""

import re
from typing import Final

from ostiary.errors import CrossSiteRequest, MalformedCredential, MultipleCredentials
from ostiary.verifier import (
    ACCESS_COOKIE,
    REFRESH_COOKIE,
    check_same_origin,
    checked_origins,
    read_access_token,
    read_bearer,
    read_cookie,
)

_OWN: Final = checked_origins(["https://app.example.com"])
_BEARER: Final = re.compile(rb"[ \t]*bearer +([A-Za-z0-9._~+/-]+=*)[ \t]*", re.IGNORECASE)


def check(data: bytes) -> None:
    headers = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in data.split(b"\n"))]
    try:
        bearer = read_bearer(headers)
        assert bearer is None or _is_the_only_one(bearer, headers)
        cookie = read_cookie(headers, ACCESS_COOKIE)
        _must_be_the_only_one(cookie, headers)
        read_cookie(headers, REFRESH_COOKIE)
        found = read_access_token(headers)
    except (MalformedCredential, MultipleCredentials):
        return
    assert (found.token if found else None) == (cookie if bearer is None else bearer)
    assert bearer is None or cookie is None, "one of two credentials was chosen"
    try:
        check_same_origin(headers, own_origins=_OWN, trusted_origins=frozenset())
    except CrossSiteRequest:
        return
    assert (b"sec-fetch-site", b"same-origin") in headers or (b"origin", b"https://app.example.com") in headers


def _is_the_only_one(token: str, headers: list[tuple[bytes, bytes]]) -> bool:
    values = [value for name, value in headers if name == b"authorization"]
    found = _BEARER.fullmatch(values[0])
    return len(values) == 1 and found is not None and found[1].decode() == token


def _must_be_the_only_one(cookie: str | None, headers: list[tuple[bytes, bytes]]) -> None:
    pairs = [pair.strip(b" ") for name, value in headers if name == b"cookie" for pair in value.split(b";")]
    ours = [pair for pair in pairs if pair.startswith(ACCESS_COOKIE.encode() + b"=")]
    expected = [] if cookie is None else [f"{ACCESS_COOKIE}={cookie}".encode("latin-1")]
    assert ours == expected
