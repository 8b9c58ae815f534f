"""A body has only one interpretation, and a refusal never repeats what was sent."""

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
    """A receive channel that returns these chunks, then waits forever. ``end``: the last chunk ends the body."""
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
async def test_json_is_accepted_in_every_spelling_of_its_media_type(sent):
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
async def test_other_media_types_are_never_read_as_json(sent, data):
    """Another site can send some of these without a CORS preflight."""
    with pytest.raises(UnsupportedMediaType):
        await read(data, headers=[(b"content-type", sent)])


async def test_a_refused_media_type_is_answered_with_the_one_that_is_wanted():
    async with World().client() as client:
        answer = await client.post("/auth/login", content="{}", headers={"content-type": "text/plain"})
    assert answer.json()["code"] == "unsupported_media_type"
    assert answer.json()["detail"] == "Send the body as application/json, with that Content-Type."


async def test_two_media_types_are_refused():
    with pytest.raises(UnsupportedMediaType):
        await read(b"{}", headers=[*JSON, *JSON])


async def test_a_media_type_is_required_unless_the_body_is_empty():
    with pytest.raises(UnsupportedMediaType):
        await read(b"{}", headers=[])
    assert await read(b"", headers=[]) == b""


# --- size and time ------------------------------------------------------------------------------------------------


async def test_a_body_at_the_limit_is_read_from_any_number_of_chunks():
    assert await read(b"x" * 400, b"", b"y" * 600) == b"x" * 400 + b"y" * 600


async def test_a_body_one_byte_over_the_limit_is_refused_while_reading():
    with pytest.raises(BodyTooLarge):
        await read(b"x" * 400, b"y" * 601)


async def test_a_content_length_over_the_limit_is_refused_before_reading():
    async def never():
        raise AssertionError("was read")

    for length in (b"1001", b"9" * 400):
        with pytest.raises(BodyTooLarge):
            await read_body({"headers": [*JSON, (b"content-length", length)]}, never, media=(Media.JSON,), limit=LIMIT)


@pytest.mark.parametrize("length", [b"-1", b"1_0", b"+1", b" 1", b"0x1", b"", b"\xd9\xa1", b"1, 1"])
async def test_an_invalid_content_length_is_refused(length):
    with pytest.raises(InvalidRequest):
        await read(b"{}", headers=[*JSON, (b"content-length", length)])


async def test_a_body_that_never_ends_times_out(monkeypatch):
    monkeypatch.setattr(body_module, "SECONDS_TO_ARRIVE", 0.01)
    with pytest.raises(InvalidRequest, match="in time"):
        await read_body({"headers": JSON}, sending(b"{", end=False), media=(Media.JSON,), limit=LIMIT)


async def test_a_disconnect_ends_the_wait_for_a_body():
    async def gone():
        return {"type": "http.disconnect"}

    with pytest.raises(InvalidRequest, match="disconnected"):
        await read_body({"headers": JSON}, gone, media=(Media.JSON,), limit=LIMIT)


# --- cost ---------------------------------------------------------------------------------------------------------

SIZE = 64 * 1024


@pytest.mark.parametrize("unit", [b"[],", b"{},", b"0,", b'"",', b'"":0,', b"[[", b'""', b'{"":', b'"a","b",'])
@pytest.mark.parametrize("start", [b"[", b'{"email":[', b'{"a":"' + b"," * 2000 + b'",', b"", b'["\\"",'])
def test_a_body_of_thousands_of_small_values_is_refused_before_it_is_parsed(unit, start, monkeypatch):
    """64 KB of ``[[],[],...`` cost 15 ms on the event loop."""
    monkeypatch.setattr(body_module.strict_json, "loads", lambda _: pytest.fail("the body was parsed"))
    with pytest.raises(MalformedJson, match="more than 1024 strings, commas and opening brackets"):
        parse(start + unit * (SIZE // len(unit)), Login)


@pytest.mark.parametrize("text", [b",", b"[", b"{", b'\\"', b"\\\\", b'\\",[{', "ü,".encode()])
def test_a_long_text_may_have_any_number_of_commas_brackets_and_quotes(text):
    body = parse(b'{"email":"%s","password":"p"}' % (text * 10_000), Login)
    assert body.email == json.loads(b'"%s"' % (text * 10_000))


def test_the_number_of_parts_is_exact():
    def extra(members):  # each member has two strings and a comma
        return b'{"email":"","password":"","extra":{%s}}' % b",".join(b'"%d":""' % n for n in range(members))

    largest = (body_module.MOST_PARTS - 9) // 3
    assert len(parse(extra(largest), Login).extra) == largest
    with pytest.raises(MalformedJson):
        parse(extra(largest + 1), Login)


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


def test_non_ascii_text_arrives_unchanged():
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
def test_ambiguous_or_malformed_json_is_refused(data):
    with pytest.raises(MalformedJson):
        parse(data, Login)


@pytest.mark.parametrize(
    "value",
    [b'{"$gt":""}', b"[]", b'["text"]', b"12345678", b"1.5", b"null", b"true", b"{}"],
)
def test_a_value_of_the_wrong_type_is_refused_with_the_name_of_its_field(value):
    with pytest.raises(InvalidBody) as refused:
        parse(with_password(value), Login)
    assert refused.value.reason.startswith("`password` must be `str`")


@pytest.mark.parametrize("data", [b"null", b"[]", b'"x"', b"1", b"true"])
def test_a_body_that_is_not_an_object_is_refused(data):
    with pytest.raises(InvalidBody, match="the body must be `object`"):
        parse(data, Login)


@pytest.mark.parametrize(
    "name",
    ["role", "roles", "is_superuser", "scopes", "email_verified", "id", "tenant", "password_hash", "isAdmin", "Email"],
)
def test_an_unknown_field_is_refused_by_its_name(name):
    with pytest.raises(InvalidBody, match=f"`{name}` is not a known field"):
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
        ({"kind": SECRET}, "`kind` has a value that is not accepted"),
        ({"count": SECRET}, "`count` must be `int`"),
        ({"names": {SECRET: SECRET}}, "`names[...]` must be `int`"),
        ({"inner": {"kind": SECRET}}, "`inner.kind` has a value that is not accepted"),
        ({"inner": {"other": SECRET}}, "`other` is not a known field, in `inner`"),
        ({f"{SECRET} - at `$.x`": 1}, "the body has a value that is not accepted"),
        ({"\x1b[31mred\r\n": 1}, "the body has a value that is not accepted"),
        ({"x" * 10_000: 1}, "the body has a value that is not accepted"),
    ],
)
def test_a_refusal_names_the_field_and_never_its_value(body, reason):
    with pytest.raises(InvalidBody) as refused:
        parse(json.dumps(body).encode(), Choice)
    assert refused.value.reason.startswith(reason)
    assert SECRET not in refused.value.reason


def test_a_value_that_is_too_long_is_refused_without_repeating_it():
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
def test_values_that_no_row_can_store_are_refused_before_the_database(fields):
    with pytest.raises(InvalidBody):
        parse(json.dumps({**GOOD, **fields}).encode(), Login)


def test_the_largest_and_smallest_storable_numbers_are_accepted():
    for number in (2**63 - 1, -(2**63)):
        assert parse(json.dumps({**GOOD, "attempts": number}).encode(), Login).attempts == number


# --- arbitrary input ----------------------------------------------------------------------------------------------

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
async def test_no_body_causes_a_server_error(data, kind):
    async with World().client() as client:
        answer = await client.post("/auth/login", content=data, headers={"content-type": kind})
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
