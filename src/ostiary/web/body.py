"""Reads the body of a request: counts its bytes while it arrives, and parses it in exactly one way."""

import asyncio
import re
from collections.abc import Collection
from enum import Enum
from typing import Any, Final

import msgspec
from starlette.types import Receive, Scope

from ostiary.errors import BodyTooLarge, InvalidBody, InvalidRequest, MalformedJson, UnsupportedMediaType
from ostiary.jose import strict_json
from ostiary.web.reason import reason
from ostiary.web.storable import unstorable

SECONDS_TO_ARRIVE: Final = 10.0
"""A caller that sends a body very slowly would occupy a connection (slowloris)."""

# RFC 8259 §11 defines no parameter, but clients send charset. JSON (§8.1) and forms (WHATWG URL §5) are UTF-8.
_UTF8: Final = re.compile(rb'(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?[ \t]*', re.IGNORECASE)

MOST_PARTS: Final = 1024
"""Strings, commas and opening brackets in the JSON of one body. Each value that a body holds costs processor time, so a
body of many small ones would occupy the event loop."""

# An unterminated string matches up to the end of the text, so that the search takes linear time.
_TOO_MANY_PARTS: Final = re.compile(
    rb'(?:[^",\[{]*+(?:[,\[{]|"(?:[^"\\]++|\\.?)*+(?:"|\Z))){%d}' % (MOST_PARTS + 1), re.DOTALL
)

_LONGEST_LENGTH: Final = 18  # digits: enough for every body, and few enough for int()


class Media(Enum):
    """The media types that a body may have."""

    JSON = b"application/json"
    FORM = b"application/x-www-form-urlencoded"

    def is_announced_by(self, content_type: bytes) -> bool:
        size = len(self.value)
        return content_type[:size].lower() == self.value and _UTF8.fullmatch(content_type, size) is not None


async def read(scope: Scope, receive: Receive, *, media: Collection[Media], limit: int) -> tuple[Media, bytes]:
    """Returns which of ``media`` the body is, and its bytes. A request without a body counts as JSON.

    Raises:
        UnsupportedMediaType: the body has another media type, or none. Browsers send forms and ``text/plain`` to other
            sites without a preflight request, so neither is ever read as JSON.
        BodyTooLarge: the announced length or the counted bytes exceed ``limit``.
        InvalidRequest: the length is not a number, the body did not arrive in time, or the caller disconnected.
    """
    announced = _announced(scope, media)
    data = await _read_whole(scope, receive, limit)
    if announced is None and data:
        raise _refusal(media)
    return announced or Media.JSON, data


def _announced(scope: Scope, media: Collection[Media]) -> Media | None:
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    if not types:
        return None
    for each in media:
        if len(types) == 1 and each.is_announced_by(types[0]):
            return each
    raise _refusal(media)


def _refusal(media: Collection[Media]) -> UnsupportedMediaType:
    wanted = " or ".join(each.value.decode("ascii") for each in media)
    return UnsupportedMediaType(f"Send the body as {wanted}, with that Content-Type.")


async def _read_whole(scope: Scope, receive: Receive, limit: int) -> bytes:
    for name, value in scope["headers"]:
        if name == b"content-length":
            _check_length(value, limit)
    try:
        async with asyncio.timeout(SECONDS_TO_ARRIVE):
            return await _gather(receive, limit)
    except TimeoutError:
        raise InvalidRequest("the body did not arrive in time") from None


def _check_length(announced: bytes, limit: int) -> None:
    if not announced.isdigit():  # int() would also take b"1_0" and b" 1 "
        raise InvalidRequest("Content-Length is not a number")
    if len(announced) > _LONGEST_LENGTH or int(announced) > limit:
        raise BodyTooLarge


async def _gather(receive: Receive, limit: int) -> bytes:
    chunks = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise InvalidRequest("the caller disconnected")
        data = message.get("body", b"")
        if len(chunks) + len(data) > limit:
            raise BodyTooLarge
        chunks += data
        if not message.get("more_body", False):
            return bytes(chunks)


def parse(data: bytes, shape: type[msgspec.Struct]) -> msgspec.Struct:
    """The body as ``shape``. An empty body counts as an object without members.

    Raises:
        MalformedJson: the body is not strict JSON: repeated names, other encodings, NaN, lone surrogates, deep nesting,
            more than `MOST_PARTS` parts.
        InvalidBody: the JSON has other fields, types or values. Its reason names the field and never quotes a value.
    """
    return fit(load(data), shape)


def load(data: bytes) -> Any:
    """The JSON value, or an empty object if there is no body. Raises MalformedJson."""
    if not data:
        return {}
    if _has_too_many_parts(data):
        raise MalformedJson(f"the JSON has more than {MOST_PARTS} strings, commas and opening brackets")
    try:
        return strict_json.loads(data)
    except ValueError as problem:
        raise MalformedJson(str(problem)) from None


def _has_too_many_parts(data: bytes) -> bool:
    """Counts before any object is created. Text inside a string does not count, however many commas it has."""
    if sum(map(data.count, (b'"', b",", b"[", b"{"))) <= MOST_PARTS:
        return False
    return _TOO_MANY_PARTS.match(data) is not None


def fit(value: Any, shape: type[msgspec.Struct]) -> msgspec.Struct:
    """The JSON value as ``shape``. Raises InvalidBody."""
    try:
        body = msgspec.convert(value, shape)
    except msgspec.ValidationError as problem:
        raise InvalidBody(reason(str(problem), whole="the body")) from None
    if why := unstorable(value):
        raise InvalidBody(why)
    return body
