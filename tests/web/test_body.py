"""The body has one reading, and a refusal never repeats what was sent."""

import asyncio
import json
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import BodyTooLarge, InvalidBody, InvalidRequest, MalformedJson, UnsupportedMediaType
from ostiary.web import body as body_module
from ostiary.web.body import Media, parse
from ostiary.web.body import read as read_body
from tests.web.toy import SECRET, Login, World

LIMIT = 1000
JSON = [(b"content-type", b"application/json")]


def sending(*chunks, end=True):
    """A receive channel that gives these chunks and then, unless it ended, nothing more."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    if end:
        messages[-1]["more_body"] = False

    async def receive():
        if messages:
            return messages.pop(0)
        return await asyncio.get_running_loop().create_future()

    return receive


async def read(*chunks, headers=JSON):
    _, data = await read_body({"headers": headers}, sending(*chunks), media=(Media.JSON,), limit=LIMIT)
    return data


# --- media type ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"application/json",
        b"Application/JSON",
        b"application/json; charset=utf-8",
        b'application/json;charset="UTF-8"',
    ],
)
async def test_json_is_read_under_every_spelling_of_its_type(sent):
    assert await read(b"{}", headers=[(b"content-type", sent)]) == b"{}"


@pytest.mark.parametrize(
    "sent",
    [
        b"text/plain",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=x",
        b"application/json; charset=utf-16",
        b"application/json; charset=utf-8; charset=utf-16",
        b"text/plain; application/json",
        b"application/jsonp",
        b"application/json\n",
        b"application/problem+json",
        b"",
    ],
)
@pytest.mark.parametrize("data", [b"{}", b""])
async def test_what_another_site_can_send_without_asking_is_never_json(sent, data):
    with pytest.raises(UnsupportedMediaType):
        await read(data, headers=[(b"content-type", sent)])


async def test_two_media_types_are_refused():
    with pytest.raises(UnsupportedMediaType):
        await read(b"{}", headers=[*JSON, *JSON])


async def test_a_body_without_a_media_type_is_refused_and_no_body_needs_none():
    with pytest.raises(UnsupportedMediaType):
        await read(b"{}", headers=[])
    assert await read(b"", headers=[]) == b""


# --- size and time ------------------------------------------------------------------------------------------------


async def test_a_body_of_the_limit_is_read_from_any_number_of_chunks():
    assert await read(b"x" * 400, b"", b"y" * 600) == b"x" * 400 + b"y" * 600


async def test_one_byte_more_is_refused_while_counting():
    with pytest.raises(BodyTooLarge):
        await read(b"x" * 400, b"y" * 601)


async def test_an_announced_length_beyond_the_limit_is_refused_before_reading():
    async def never():
        raise AssertionError("was read")

    for length in (b"1001", b"9" * 400):
        with pytest.raises(BodyTooLarge):
            await read_body({"headers": [*JSON, (b"content-length", length)]}, never, media=(Media.JSON,), limit=LIMIT)


@pytest.mark.parametrize("length", [b"-1", b"1_0", b"+1", b" 1", b"0x1", b"", b"\xd9\xa1", b"1, 1"])
async def test_a_length_that_is_no_number_is_refused(length):
    with pytest.raises(InvalidRequest):
        await read(b"{}", headers=[*JSON, (b"content-length", length)])


async def test_a_body_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(body_module, "SECONDS_TO_ARRIVE", 0.01)
    with pytest.raises(InvalidRequest, match="in time"):
        await read_body({"headers": JSON}, sending(b"{", end=False), media=(Media.JSON,), limit=LIMIT)


async def test_a_caller_who_goes_away_is_not_waited_for():
    async def gone():
        return {"type": "http.disconnect"}

    with pytest.raises(InvalidRequest, match="went away"):
        await read_body({"headers": JSON}, gone, media=(Media.JSON,), limit=LIMIT)


# --- strict JSON --------------------------------------------------------------------------------------------------

GOOD = {"email": "a@example.com", "password": SECRET}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(GOOD),
        json.dumps(GOOD, separators=(",", ":")),
        json.dumps(GOOD, indent=2),
        json.dumps(GOOD, ensure_ascii=True).replace("a@", "\\u0061@"),
        json.dumps(dict(reversed(GOOD.items()))),
    ],
)
def test_every_spelling_of_the_same_fields_is_the_same_body(text):
    assert parse(text.encode(), Login) == Login(**GOOD)


def test_text_beyond_ascii_arrives_as_it_was_written():
    assert parse('{"email":"ü@example.com","password":"パス𝒳"}'.encode(), Login).password == "パス𝒳"


def with_password(value):
    return b'{"email":"a@example.com","password":%s}' % value


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{"email":"a","email":"b","password":"p"}', id="name twice"),
        pytest.param(b'{"email":"a","\\u0065mail":"b","password":"p"}', id="name twice, once escaped"),
        pytest.param(b'{"email":"a","password":"p","extra":{"a":"1","a":"2"}}', id="name twice inside"),
        pytest.param(b"\xef\xbb\xbf" + with_password(b'"p"'), id="byte order mark"),
        pytest.param(with_password(b'"p"').decode().encode("utf-16"), id="UTF-16"),
        pytest.param(with_password(b'"p"').decode().encode("utf-32"), id="UTF-32"),
        pytest.param(with_password(b'"\xff"'), id="not UTF-8"),
        pytest.param(with_password(b'"\xc0\x80"'), id="overlong NUL"),
        pytest.param(with_password(b'"\\ud800"'), id="lone surrogate"),
        pytest.param(with_password(b'"\xed\xa0\x80"'), id="surrogate in UTF-8"),
        pytest.param(with_password(b"NaN"), id="NaN"),
        pytest.param(with_password(b"1e999"), id="infinite"),
        pytest.param(with_password(b"-Infinity"), id="Infinity"),
        pytest.param(with_password(b'"a\nb"'), id="raw control character"),
        pytest.param(with_password(b"'p'"), id="single quotes"),
        pytest.param(with_password(b'"p",'), id="trailing comma"),
        pytest.param(with_password(b'"p"') + b"\0", id="trailing NUL"),
        pytest.param(with_password(b'"p"') * 2, id="two values"),
        pytest.param(with_password(b'/**/"p"'), id="comment"),
        pytest.param(with_password(b"9" * 5000), id="a number of 5000 digits"),
        pytest.param(with_password(b"[" * 100_000), id="open brackets"),
        pytest.param(with_password(b"[" * 10_000 + b"]" * 10_000), id="nested 10,000 deep"),
        pytest.param(b"[" * 400_000, id="brackets only"),
        pytest.param(b"   ", id="white space"),
    ],
)
def test_json_with_two_readings_or_none_is_refused(data):
    with pytest.raises(MalformedJson):
        parse(data, Login)


@pytest.mark.parametrize(
    "value",
    [b'{"$gt":""}', b"[]", b'["text"]', b"12345678", b"1.5", b"null", b"true", b"{}"],
)
def test_a_value_of_another_type_is_refused_by_its_field(value):
    with pytest.raises(InvalidBody) as refused:
        parse(with_password(value), Login)
    assert refused.value.reason.startswith("`password` must be `str`")


@pytest.mark.parametrize("data", [b"null", b"[]", b'"x"', b"1", b"true"])
def test_a_body_that_is_no_object_is_refused(data):
    with pytest.raises(InvalidBody, match="the body must be `object`"):
        parse(data, Login)


@pytest.mark.parametrize(
    "name",
    ["role", "roles", "is_superuser", "scopes", "email_verified", "id", "tenant", "password_hash", "isAdmin", "Email"],
)
def test_a_field_that_the_route_does_not_take_is_refused_by_its_name(name):
    with pytest.raises(InvalidBody, match=f"`{name}` is not a field here"):
        parse(json.dumps({**GOOD, name: SECRET}).encode(), Login)


def test_a_missing_field_is_named():
    with pytest.raises(InvalidBody, match="`password` is missing"):
        parse(b'{"email":"a@example.com"}', Login)
    with pytest.raises(InvalidBody, match="`email` is missing"):
        parse(b"", Login)


class Choice(msgspec.Struct, forbid_unknown_fields=True):
    kind: Literal["a", "b"] = "a"
    count: int = 0
    names: dict[str, int] = {}
    inner: "Choice | None" = None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"kind": SECRET}, "`kind` is not accepted as it is"),
        ({"count": SECRET}, "`count` must be `int`"),
        ({"names": {SECRET: SECRET}}, "`names[...]` must be `int`"),
        ({"inner": {"kind": SECRET}}, "`inner.kind` is not accepted as it is"),
        ({"inner": {"other": SECRET}}, "`other` is not a field here, in `inner`"),
        ({f"{SECRET} - at `$.x`": 1}, "the body is not accepted as it is"),
        ({"\x1b[31mred\r\n": 1}, "the body is not accepted as it is"),
        ({"x" * 10_000: 1}, "the body is not accepted as it is"),
    ],
)
def test_a_refusal_names_the_field_and_never_what_was_in_it(body, reason):
    with pytest.raises(InvalidBody) as refused:
        parse(json.dumps(body).encode(), Choice)
    assert refused.value.reason.startswith(reason)
    assert SECRET not in refused.value.reason


def test_too_long_a_value_is_refused_without_repeating_it():
    with pytest.raises(InvalidBody) as refused:
        parse(json.dumps({**GOOD, "password": SECRET * 100}).encode(), Login)
    assert refused.value.reason == "`password` must be `str` of length <= 128"


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "a\0b"},
        {"tags": ["fine", "not\0fine"]},
        {"extra": {"a": "b\0"}},
        {"extra": {"\0": "b"}},
        {"attempts": 2**63},
        {"attempts": -(2**63) - 1},
        {"attempts": 10**30},
    ],
)
def test_what_no_row_can_hold_is_refused_before_a_database_has_to(fields):
    with pytest.raises(InvalidBody):
        parse(json.dumps({**GOOD, **fields}).encode(), Login)


def test_the_largest_and_smallest_number_of_a_row_pass():
    for number in (2**63 - 1, -(2**63)):
        assert parse(json.dumps({**GOOD, "attempts": number}).encode(), Login).attempts == number


# --- whatever comes -----------------------------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
BODIES = (
    st.binary(max_size=200)
    | JSON_VALUES.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({}, optional=dict.fromkeys(("email", "password", "attempts", "extra"), JSON_VALUES)).map(
        lambda value: json.dumps(value).encode()
    )
)


@given(data=BODIES, kind=st.sampled_from(["application/json", "text/plain", "application/json; charset=utf-8"]))
async def test_no_bytes_whatever_make_the_server_fail(data, kind):
    async with World().client() as client:
        answer = await client.post("/auth/login", content=data, headers={"content-type": kind})
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
