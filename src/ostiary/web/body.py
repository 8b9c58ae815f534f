"""The body of a request: counted while it comes, and read in one way only."""

import asyncio
import re
from typing import Any, Final

import msgspec
from starlette.types import Receive, Scope

from ostiary.errors import BodyTooLarge, InvalidBody, InvalidRequest, MalformedJson, UnsupportedMediaType
from ostiary.jose import strict_json

SECONDS_TO_ARRIVE: Final = 10.0
"""A caller who dribbles a body holds a connection for nothing (slowloris)."""

_JSON: Final = b"application/json"
# RFC 8259 §11 defines no parameter, but clients send charset; §8.1: JSON is UTF-8
_JSON_AS_SENT: Final = re.compile(rb'application/json(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?[ \t]*', re.IGNORECASE)

_LONGEST_LENGTH: Final = 18  # digits: more than any body, few enough for int()

_INT64: Final = 1 << 63  # beyond it no row can hold a number
_NUL: Final = "\0"  # no PostgreSQL text can hold it


async def read_json(scope: Scope, receive: Receive, *, limit: int) -> bytes:
    """The whole body, at most ``limit`` bytes, announced as JSON; empty where there is none.

    Raises:
        UnsupportedMediaType: announced as something else, or not at all. A form or ``text/plain`` can be sent by any
            site without asking: neither is ever read as JSON.
        BodyTooLarge: by its announced length, or while counting.
        InvalidRequest: the length is no number, the body did not come in time, or the caller went away.
    """
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    if types and types != [_JSON] and (len(types) > 1 or not _JSON_AS_SENT.fullmatch(types[0])):
        raise UnsupportedMediaType
    data = await _read(scope, receive, limit)
    if data and not types:
        raise UnsupportedMediaType
    return data


async def _read(scope: Scope, receive: Receive, limit: int) -> bytes:
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
            raise InvalidRequest("the caller went away")
        data = message.get("body", b"")
        if len(chunks) + len(data) > limit:
            raise BodyTooLarge
        chunks += data
        if not message.get("more_body", False):
            return bytes(chunks)


def parse(data: bytes, shape: type[msgspec.Struct]) -> msgspec.Struct:
    """The body as ``shape``. No body at all is an object without members.

    Raises:
        MalformedJson: not strict JSON: repeated names, other encodings, NaN, lone surrogates, deep nesting.
        InvalidBody: JSON with other fields, types or values. Its reason names the field and never quotes a value.
    """
    try:
        value = strict_json.loads(data) if data else {}
    except ValueError as problem:
        raise MalformedJson(str(problem)) from None
    try:
        body = msgspec.convert(value, shape)
    except msgspec.ValidationError as problem:
        raise InvalidBody(_reason(str(problem))) from None
    _check_storable(value)
    return body


def _check_storable(value: Any) -> None:
    if isinstance(value, str):
        if _NUL in value:
            raise InvalidBody("a text has a NUL character")
    elif isinstance(value, int):
        if not -_INT64 <= value < _INT64:
            raise InvalidBody("a number is too large")
    elif isinstance(value, dict):
        for name, member in value.items():
            _check_storable(name)
            _check_storable(member)
    elif isinstance(value, list):
        for member in value:
            _check_storable(member)


# msgspec's words. They may quote what was sent ("Invalid enum value 'hunter2'"), so only known parts are passed on
_FIELD: Final = re.compile(r"Object (missing required|contains unknown) field `([A-Za-z0-9_-]{1,64})`")
_EXPECTED: Final = re.compile(r"Expected ([^'\"]+?)(?:, got [a-z` ]+)?(?: - at `.*`)?")
_PLACE: Final = re.compile(r".* - at `\$\.?([A-Za-z0-9_.\[\]-]{1,128})`", re.DOTALL)


def _reason(problem: str) -> str:
    """What msgspec found wrong, in words that hold no value of the caller's."""
    place = _PLACE.fullmatch(problem)
    where = f"`{place[1]}`" if place else "the body"
    if field := _FIELD.match(problem):
        what = "is missing" if field[1] == "missing required" else "is not a field here"
        return f"`{field[2]}` {what}" + (f", in {where}" if place else "")
    if expected := _EXPECTED.fullmatch(problem):
        return f"{where} must be {expected[1]}"
    return f"{where} is not accepted as it is"
