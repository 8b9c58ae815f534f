"""Turns answers and errors into bytes and headers."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, NamedTuple, TypeAlias

import msgspec

from ostiary.core.plug import Answer, Page, SignedText, Speaks
from ostiary.errors import OstiaryError
from ostiary.verifier import CookieNames, refusal
from ostiary.web.cookies import set_cookie
from ostiary.web.oauth import error_object

Fields: TypeAlias = dict[bytes, bytes]

_encode: Final = msgspec.json.Encoder().encode

_JSON: Final = b"application/json"  # RFC 8259 §11: there is no charset parameter, JSON is UTF-8
_HTML: Final = b"text/html; charset=utf-8"

_ALWAYS: Final[Fields] = {b"x-content-type-options": b"nosniff", b"referrer-policy": b"no-referrer"}
# OWASP ASVS 5.0 §3.4.1: at least a year, subdomains included
_OVER_HTTPS: Final[Fields] = {b"strict-transport-security": b"max-age=31536000; includeSubDomains"}

# RFC 9110 §8.6: a 204 has no length, and the length of a 304 would be that of the body that is not sent
_WITHOUT_LENGTH: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})

_NONCE: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}=*")
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


class Response(NamedTuple):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Renderer:
    """Makes responses. Their common headers depend only on the installation."""

    def __init__(self, *, is_https: bool, cookies: CookieNames) -> None:
        self._always = {**_ALWAYS, **_OVER_HTTPS} if is_https else _ALWAYS
        self._cookies = cookies

    def answer(self, answer: Answer, *, may_be_kept: bool, request_id: str) -> Response:
        """The answer's own headers replace the default content type. If the answer ``may_be_kept``, they also replace
        ``Cache-Control``, which is otherwise always ``no-store``."""
        body, fields = _content(answer.body)
        fields[b"cache-control"] = b"no-store"
        if answer.headers:
            fields |= {name.encode("ascii"): value.encode("ascii") for name, value in answer.headers}
            if not may_be_kept:
                fields[b"cache-control"] = b"no-store"
        cookies = [(b"set-cookie", set_cookie(cookie, self._cookies).encode("ascii")) for cookie in answer.cookies]
        return self._complete(answer.status, fields, body, request_id, cookies)

    def refusal(self, error: OstiaryError, *, speaks: Speaks, request_id: str, allow: Sequence[str] = ()) -> Response:
        """Problem details or an OAuth error. A 405 names the methods in ``allow`` (RFC 9110 §15.5.6)."""
        refused = error_object(error) if speaks is Speaks.OAUTH else refusal(error)
        fields = {name.encode("ascii"): value.encode("ascii") for name, value in refused.headers}
        if allow:
            fields[b"allow"] = ", ".join(allow).encode("ascii")
        return self._complete(refused.status, fields, _encode(refused.body), request_id, [])

    def preflight(self, *, request_id: str) -> Response:
        """The answer to a CORS preflight request, without the headers of CORS."""
        return self._complete(HTTPStatus.NO_CONTENT, {}, b"", request_id, [])

    def _complete(
        self, status: int, fields: Fields, body: bytes, request_id: str, cookies: list[tuple[bytes, bytes]]
    ) -> Response:
        fields |= self._always
        fields[b"x-request-id"] = request_id.encode("ascii")
        if status not in _WITHOUT_LENGTH:
            fields[b"content-length"] = b"%d" % len(body)
        return Response(status, [*fields.items(), *cookies], body)


def _content(body: msgspec.Struct | None) -> tuple[bytes, Fields]:
    if body is None:
        return b"", {}
    if isinstance(body, Page):
        return body.html.encode(), {
            b"content-type": _HTML,
            b"content-security-policy": _page_policy(body.nonce),
            b"cross-origin-opener-policy": b"same-origin",
        }
    if isinstance(body, SignedText):
        return body.text.encode("ascii"), {b"content-type": body.media_type.encode("ascii")}
    return _encode(body), {b"content-type": _JSON}


def _page_policy(nonce: str) -> bytes:
    if not _NONCE.fullmatch(nonce):
        raise ValueError("a nonce must be base64 of random bytes")  # other text could add rules to the policy
    return _PAGE_POLICY.format(nonce).encode("ascii")
