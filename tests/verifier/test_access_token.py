"""`AccessToken`: both ways of reading give back what was written, and the result is immutable."""

import json
from types import MappingProxyType

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import ClaimRejected, MalformedToken
from ostiary.verifier import AccessToken, Confirmation, encode_access_token
from ostiary.verifier.access_token import _canonical, _decode_strictly, decode_access_token
from tests.verifier.material import CLAIMS, access_token

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
IDS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=10)
SECONDS = st.integers(0, 253_402_300_799)
TOKENS = st.builds(
    AccessToken,
    iss=IDS,
    sub=IDS,
    aud=IDS | st.lists(IDS, min_size=1, max_size=3).map(tuple),
    exp=SECONDS,
    iat=SECONDS,
    jti=IDS,
    client_id=IDS,
    sid=IDS,
    ver=st.integers(0, 2**63 - 1),
    roles=st.lists(TEXTS, max_size=3).map(tuple),
    scope=TEXTS,
    auth_time=SECONDS,
    acr=TEXTS,
    amr=st.lists(TEXTS, max_size=2).map(tuple),
    nbf=st.none() | SECONDS,
    cnf=st.none() | IDS.map(Confirmation),
)


@given(TOKENS)
def test_the_fast_and_the_strict_path_read_what_was_written(token):
    payload = encode_access_token(token)
    assert _decode_strictly(payload) == decode_access_token(payload) == token
    assert _canonical(payload) == (token if _is_plain(payload) else None)


def _is_plain(payload):
    """ASCII without escapes: our own tokens need no more, and the fast path accepts no more."""
    return payload.isascii() and not set(payload) & set(b"\\\x7f")


@given(TOKENS, st.randoms(use_true_random=False))
def test_claims_in_another_order_and_spelling_give_the_same_token(token, random):
    claims = list(json.loads(encode_access_token(token)).items())
    random.shuffle(claims)
    assert decode_access_token(json.dumps(dict(claims), indent=1).encode()) == token


def test_a_token_is_deeply_immutable():
    token = decode_access_token(encode_access_token(access_token(), extra={"a": {"b": [1, {"c": 2}]}, "d": [[]]}))
    assert token.extra == {"a": {"b": (1, {"c": 2})}, "d": ((),)}
    assert isinstance(token.extra["a"]["b"][1], MappingProxyType)
    for change in (
        lambda: setattr(token, "sub", "acc_2"),
        lambda: token.extra.__setitem__("a", 1),
        lambda: token.extra["a"].__setitem__("b", 1),
        lambda: token.extra["a"]["b"][1].__setitem__("c", 1),
        lambda: setattr(token, "extra", {}),
    ):
        with pytest.raises((AttributeError, TypeError)):
            change()


def test_extra_is_empty_and_read_only_without_additional_claims():
    token = access_token()
    assert token.extra == {}
    with pytest.raises(TypeError):
        token.extra["a"] = 1


def test_extra_claims_cannot_overwrite_standard_claims():
    for name in ("sub", "exp", "roles", "cnf"):
        with pytest.raises(ValueError, match="name of a claim"):
            encode_access_token(access_token(), extra={name: "x"})


def test_a_claim_with_the_name_of_an_internal_field_is_an_ordinary_claim():
    token = decode_access_token(json.dumps({**CLAIMS, "further": 1, "extra": {"sub": "acc_2"}}).encode())
    assert token.extra == {"further": 1, "extra": {"sub": "acc_2"}}
    assert token.sub == "acc_1"


@pytest.mark.parametrize("name", CLAIMS)
def test_j19_every_required_claim_must_be_present(name):
    claims = {claim: value for claim, value in CLAIMS.items() if claim != name}
    with pytest.raises(ClaimRejected):
        decode_access_token(json.dumps(claims).encode())


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"sub": ...}, "sub: the claim is missing"),
        ({"sub": None}, "sub: the claim is null"),
        ({"sub": 1}, "sub: the claim has the wrong type or value"),
        ({"aud": []}, "aud: the claim has the wrong type or value"),
        ({"aud": [1]}, "aud: the claim has the wrong type or value"),
        ({"cnf": {}}, "cnf: the claim has the wrong type or value"),
        ({"cnf": {"jkt": "x", "evil": 1}}, "cnf: the claim has the wrong type or value"),
        ({"status": {"status_list": {"uri": "x"}}}, "status: the claim has the wrong type or value"),
        ({"jti": "a\nb"}, "jti: the id has characters that cannot be printed"),
    ],
)
def test_a_refusal_names_the_claim_and_never_quotes_its_value(changes, detail):
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...}
    with pytest.raises(ClaimRejected) as caught:
        decode_access_token(json.dumps(claims).encode())
    assert caught.value.detail == detail


@pytest.mark.parametrize("name", [*CLAIMS, "nbf", "cnf", "status"])
def test_j18_no_claim_may_be_null(name):
    with pytest.raises(ClaimRejected):
        decode_access_token(json.dumps({**CLAIMS, name: None}).encode())


NUMBERS = ["exp", "iat", "nbf", "auth_time", "ver"]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value",
    [
        b'"9999999999"',
        b"true",
        b"false",
        b"[]",
        b"{}",
        b"[1]",
        b"-1",
        b"1.5",
        b"1e3",
        b"1800000000.0",
        b"9" * 30,
        b"1e308",
    ],
)
def test_j18_numbers_must_be_integers_in_range(name, value):
    """1800000000.0 is refused too: a time has only one spelling."""
    payload = json.dumps({**CLAIMS, name: "@"}).encode().replace(b'"@"', value)
    with pytest.raises(ClaimRejected):
        decode_access_token(payload)


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1" * 5000, b"0x10", b"01"])
def test_j18_values_that_are_not_json_numbers_are_refused(value):
    with pytest.raises(MalformedToken):
        decode_access_token(json.dumps({**CLAIMS, "exp": "@"}).encode().replace(b'"@"', value))


@pytest.mark.parametrize("value", [9007199254740993, 253_402_300_800])
def test_j18_times_after_the_year_9999_are_refused(value):
    with pytest.raises(ClaimRejected):
        decode_access_token(json.dumps({**CLAIMS, "exp": value}).encode())


@pytest.mark.parametrize("name", ["iss", "sub", "jti", "sid", "client_id"])
@pytest.mark.parametrize("value", ["", 5, True, ["token-1"], {"token-1": 1}, "i" * 257, ["https://auth.example.com"]])
def test_j40_ids_are_strings_of_limited_length(name, value):
    """joserfc 1.7.6 accepted an array that contained the expected id."""
    with pytest.raises(ClaimRejected):
        decode_access_token(json.dumps({**CLAIMS, name: value}).encode())


@pytest.mark.parametrize("name", ["sub", "jti", "sid", "client_id"])
@pytest.mark.parametrize("value", ["a\nb", "a\0", "\x1b[31m", "a\u2028b", "a\u200b", "\x7f", "\x9b31m", "\u202e"])
def test_j39_ids_must_be_printable(name, value):
    """They are used as table keys and in log lines."""
    for ascii_only in (True, False):
        with pytest.raises(ClaimRejected):
            decode_access_token(json.dumps({**CLAIMS, name: value}, ensure_ascii=ascii_only).encode())


@pytest.mark.parametrize("value", ["", [], [""], ["a", ["b"]], ["a", 5], {}, 5, True, ["a", None]])
def test_j21_aud_is_a_string_or_an_array_of_strings(value):
    with pytest.raises(ClaimRejected):
        decode_access_token(json.dumps({**CLAIMS, "aud": value}).encode())


@pytest.mark.parametrize(
    "value", [[], {}, {"x5t#S256": "a"}, {"jkt": "a", "x5t#S256": "b"}, {"jkt": 5}, {"jkt": ""}, "a"]
)
def test_a_key_binding_that_cannot_be_checked_is_refused(value):
    with pytest.raises(ClaimRejected):
        decode_access_token(json.dumps({**CLAIMS, "cnf": value}).encode())


@pytest.mark.parametrize(
    ("name", "value"), [("roles", "admin"), ("roles", [5]), ("amr", "pwd"), ("scope", ["a"]), ("acr", 2)]
)
def test_other_claims_of_the_wrong_type_are_refused(name, value):
    with pytest.raises(ClaimRejected):
        decode_access_token(json.dumps({**CLAIMS, name: value}).encode())


@pytest.mark.parametrize(
    "payload", [b"null", b"[]", b'"x"', b"1", b"true", b"", b"{", b"\xff", b"[" * 10_000, b'{"a":' * 3000]
)
def test_j17_a_payload_that_is_not_an_object_is_refused(payload):
    with pytest.raises(MalformedToken):
        decode_access_token(payload)


@pytest.mark.parametrize(
    "twice", [b'"sub":"acc_admin"', b'"\\u0073ub":"acc_admin"', b'"exp":9999999999', b'"x":1,"x":2']
)
def test_j15_a_claim_that_occurs_twice_is_refused(twice):
    payload = json.dumps(CLAIMS).encode()
    for doubled in (payload[:-1] + b"," + twice + b"}", b"{" + twice + b"," + payload[1:]):
        with pytest.raises(MalformedToken):
            decode_access_token(doubled)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "utf-16-le"])
def test_j16_other_encodings_of_the_payload_are_refused(encoding):
    with pytest.raises(MalformedToken):
        decode_access_token(json.dumps(CLAIMS).encode(encoding))


@pytest.mark.parametrize("around", ["{} ", " {}", "{}\n", "{}\0", "{},"])
def test_j16_other_text_around_the_payload_is_refused(around):
    with pytest.raises(MalformedToken):
        decode_access_token(around.replace("{}", json.dumps(CLAIMS)).encode())


def test_j16_bad_utf8_and_overflows_in_ignored_claims_are_refused():
    """msgspec skips ignored claims without reading them. Only writing the JSON again reveals them."""
    for bad in (b'"x":"\xff"', b'"x":1e999', b'"x":NaN', b'"x":"\\ud800"'):
        payload = encode_access_token(access_token())[:-1] + b"," + bad + b"}"
        with pytest.raises(MalformedToken):
            decode_access_token(payload)


def test_ostiary_sets_the_claims_of_rfc_9068():
    assert set(CLAIMS) | {"nbf", "status", "cnf", "email"} == set(AccessToken.__struct_fields__)
    assert msgspec.json.decode(encode_access_token(access_token())) == json.loads(json.dumps(CLAIMS))
