"""Token Status Lists: the specification's examples are read correctly, and invalid lists are refused."""

import json
import secrets
import time
import zlib
from pathlib import Path

import pytest

from ostiary.errors import BadSignature, ClaimRejected, InvalidToken, MalformedToken, TokenExpired
from ostiary.jose import KeySet, SigningKey, VerifyingKey, base64url, sign, strict_json
from ostiary.verifier.status_list import (
    MAX_STATUS_LIST_TOKEN,
    MAX_STATUSES,
    STATUS_LIST_TYPE,
    EncodedStatusList,
    StatusList,
    StatusListClaims,
    encode,
    verify_status_list,
)
from tests.verifier.material import ISSUER, KEY, LEEWAY, NOW, SECRET

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/ietf/token_status_list.json").read_text())
URI = ISSUER + "/auth/status/7"
MILLION = 2**20


# -- the list ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS["section_4"], ids=lambda vector: f"{vector['bits']}-bit")
def test_the_small_examples_of_section_4(vector):
    found = StatusList.decode(vector["lst"], vector["bits"])
    assert [found.status(idx) for idx in range(len(vector["statuses"]))] == vector["statuses"]
    assert len(found) == len(vector["statuses"])


@pytest.mark.parametrize("vector", VECTORS["appendix_c"], ids=lambda vector: f"{vector['bits']}-bit")
def test_the_large_examples_of_appendix_c(vector):
    found = StatusList.decode(vector["lst"], vector["bits"])
    assert len(found) == vector["size"]
    assert {str(idx): found.status(idx) for idx in range(len(found)) if found.status(idx)} == vector["set"]


def test_encoding_gives_the_example_of_section_4():
    vector = VECTORS["section_4"][0]
    assert zlib.decompress(base64url.decode(encode(bytes.fromhex(vector["bytes"])).encode())).hex() == vector["bytes"]


def test_decoding_gives_back_every_encoded_bit():
    statuses = secrets.token_bytes(MILLION // 8)
    found = StatusList.decode(encode(statuses))
    value = int.from_bytes(statuses, "little")
    assert all(found.status(idx) == value >> idx & 1 for idx in range(4096))
    assert sum(found.status(idx) for idx in range(MILLION)) == value.bit_count()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_there_is_no_status_outside_the_list(bits):
    """Python would count -1 from the end, which is another token's status."""
    found = StatusList(b"\xff" * 4, bits)
    size = 32 // bits
    assert (found.status(0), found.status(size - 1), len(found)) == ((1 << bits) - 1, (1 << bits) - 1, size)
    for idx in (-1, -size, size, 2**63, 10**30):
        with pytest.raises(IndexError):
            found.status(idx)


@pytest.mark.parametrize("bits", [0, 3, 5, 16, -1, True + 2])
def test_other_numbers_of_bits_are_refused(bits):
    with pytest.raises(ValueError, match="bits"):
        StatusList(b"\0", bits)


def test_s20_a_zlib_bomb_is_refused_before_it_is_decompressed():
    bomb = zlib.compress(b"\0" * 200_000_000)
    text = base64url.encode(bomb).decode()
    start = time.thread_time()
    with pytest.raises(ValueError, match="too many"):
        StatusList.decode(text)
    assert time.thread_time() - start < 0.1


def test_the_limit_of_decompression_is_exact():
    assert len(StatusList.decode(encode(b"\0" * MAX_STATUSES), 8)) == MAX_STATUSES
    with pytest.raises(ValueError, match="too many"):
        StatusList.decode(encode(b"\0" * (MAX_STATUSES + 1)), 8)


GOOD = zlib.compress(b"\xb9\xa3")


@pytest.mark.parametrize(
    "stream",
    [b"", b"x", GOOD + b"\0", GOOD + GOOD, GOOD[:-1], GOOD[:-4], GOOD[:-4] + b"\0\0\0\0", GOOD[2:-4], b"\x1f" + GOOD],
    ids=["empty", "garbage", "a byte after", "two streams", "cut", "no checksum", "wrong checksum", "bare", "gzip"],
)  # fmt: skip
def test_data_that_is_not_exactly_one_complete_zlib_stream_is_refused(stream):
    with pytest.raises(ValueError, match="zlib stream"):
        StatusList.decode(base64url.encode(stream).decode())


@pytest.mark.parametrize(
    "change", [lambda t: t + "=", lambda t: t + "\n", lambda t: " " + t, lambda t: t[:-1], lambda t: t + "é"]
)
def test_text_that_is_not_strict_base64url_is_refused(change):
    with pytest.raises(ValueError, match=r"base64url|ascii"):
        StatusList.decode(change("eNrbuRgAAhcBXQ"))


# -- the status list token ---------------------------------------------------------------------------------------------


def claims(**changes):
    usual = {"sub": URI, "iss": ISSUER, "iat": NOW, "exp": NOW + 300, "ttl": 60}
    usual["status_list"] = {"bits": 1, "lst": "eNrbuRgAAhcBXQ"}
    return {name: value for name, value in {**usual, **changes}.items() if value is not ...}


def token(payload=None, *, key=KEY, typ=STATUS_LIST_TYPE, **changes):
    data = payload if isinstance(payload, bytes) else json.dumps(claims(**changes)).encode()
    return sign(data, key, typ=typ, longest=2**20)


def verified(text, *, keys=(KEY.public,), now=NOW):
    return verify_status_list(text, KeySet(keys), issuer=ISSUER, uri=URI, now=now, leeway=LEEWAY)


def refused(text, error, **parameters):
    with pytest.raises(InvalidToken) as caught:
        verified(text, **parameters)
    assert caught.type is error


def test_the_example_of_section_5_1():
    vector = VECTORS["section_5_1"]
    keys = KeySet([VerifyingKey.from_jwk(vector["key"])])
    expected = vector["claims"]
    found, said = verify_status_list(
        vector["token"], keys, issuer=expected["iss"], uri=expected["sub"], now=expected["iat"], leeway=0
    )
    assert [found.status(idx) for idx in range(16)] == VECTORS["section_4"][0]["statuses"]
    assert {name: getattr(said, name) for name in expected} == expected


def test_a_written_list_can_be_read():
    statuses = secrets.token_bytes(MILLION // 8)
    written = StatusListClaims(
        iss=ISSUER, sub=URI, iat=NOW, exp=NOW + 300, ttl=60, status_list=EncodedStatusList(1, encode(statuses))
    )
    text = sign(strict_json.dumps(written), KEY, typ=STATUS_LIST_TYPE, longest=MAX_STATUS_LIST_TOKEN)
    found, said = verified(text)
    assert said == written
    assert bytes(found._statuses) == statuses


def test_a_million_incompressible_bits_fit_with_any_signature():
    statuses = secrets.token_bytes(MILLION // 8)
    written = StatusListClaims(
        iss="https://" + "i" * 248, sub="https://" + "u" * 2000, iat=NOW, exp=NOW + 300, ttl=60,
        status_list=EncodedStatusList(1, encode(statuses)),
    )  # fmt: skip
    text = sign(strict_json.dumps(written), SigningKey.generate("ML-DSA-87"), typ=STATUS_LIST_TYPE, longest=2**20)
    assert len(text) < MAX_STATUS_LIST_TOKEN


def test_s20_a_list_must_be_signed_with_the_issuers_key():
    forged = SigningKey.generate("ES256", kid=KEY.kid)
    refused(token(key=forged), BadSignature)
    refused(token()[:-4] + "AAAA", BadSignature)
    refused(token(), BadSignature, keys=())


def test_section_5_1_a_list_signed_with_a_shared_secret_is_refused():
    refused(token(key=SECRET), BadSignature, keys=(SECRET,))


@pytest.mark.parametrize("typ", ["at+jwt", "JWT", None, "statuslist+cwt", "ostiary-feed+jwt"])
def test_another_kind_of_token_is_not_accepted_as_a_list(typ):
    refused(token(typ=typ), ClaimRejected)


@pytest.mark.parametrize("sub", [URI + "/", URI[:-1] + "8", URI.upper(), ISSUER, "", URI + "?", None, 5, [URI], ...])
def test_s20_a_list_for_another_uri_is_refused(sub):
    """Otherwise a token could be checked against a list in which its bit was never set."""
    refused(token(sub=sub), ClaimRejected)


def test_iss_may_be_absent_but_not_another_issuer():
    assert verified(token(iss=...))[1].iss is None
    refused(token(iss=ISSUER + "/"), ClaimRejected)
    refused(token(iss=""), ClaimRejected)


def test_the_times_of_a_list_are_checked_to_the_second():
    verified(token(iat=NOW + LEEWAY, exp=NOW + LEEWAY + 1))
    refused(token(iat=NOW + LEEWAY + 1, exp=NOW + 300), ClaimRejected)
    refused(token(iat=NOW, exp=NOW), ClaimRejected)
    verified(token(iat=NOW - 300, exp=NOW - LEEWAY + 1))
    refused(token(iat=NOW - 300, exp=NOW - LEEWAY), TokenExpired)
    refused(token(), ClaimRejected, now=float("nan"))


@pytest.mark.parametrize(
    "changes",
    [{"exp": ...}, {"iat": ...}, {"exp": None}, {"exp": NOW + 0.5}, {"iat": True}, {"ttl": 0}, {"ttl": -1},
     {"ttl": "60"}, {"ttl": 1.5}, {"status_list": ...}, {"status_list": []},
     {"status_list": {"bits": 3, "lst": "eNrbuRgAAhcBXQ"}},
     {"status_list": {"bits": True, "lst": "eNrbuRgAAhcBXQ"}}, {"status_list": {"bits": 1}},
     {"status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ=="}}, {"status_list": {"bits": 1, "lst": 5}},
     {"status_list": {"bits": "1", "lst": "eNrbuRgAAhcBXQ"}}, {"exp": 10**15}],
)  # fmt: skip
def test_missing_claims_and_wrong_types_are_refused(changes):
    refused(token(**changes), ClaimRejected)


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b'{"iat":1,"iat":2}', b"\xff", b"null"])
def test_a_payload_that_is_not_a_strict_json_object_is_refused(payload):
    refused(token(payload), MalformedToken)


def test_other_claims_are_permitted():
    extended = claims(jti="x", aggregation_uri="https://a")
    extended["status_list"]["aggregation_uri"] = "https://a"
    assert verified(token(json.dumps(extended).encode()))[0].status(0) == 1


def test_a_list_that_is_too_long_is_refused_before_its_signature_is_checked():
    refused(token(padding="x" * MAX_STATUS_LIST_TOKEN), MalformedToken, keys=())
