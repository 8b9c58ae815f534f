"""`KeySet`: the right key is never a guess, and published sets contain no secrets."""

import json

import pytest

from ostiary.errors import KeyRejected
from ostiary.jose import HmacKey, KeySet, SigningKey, VerifyingKey
from ostiary.jose.header import Header
from tests.jose.material import key, key_set

ES, ED, RS, HS = (key(alg) for alg in ("ES256", "Ed25519", "RS256", "HS256"))


def jwks(*members):
    return {"keys": list(members)}


def test_a_set_round_trips_through_its_document():
    published = key_set(ES, ED, RS)
    again = KeySet.from_json(json.dumps(published.to_jwks()).encode())
    assert [each.to_jwk() for each in again] == [each.to_jwk() for each in published]
    assert {member["use"] for member in published.to_jwks()["keys"]} == {"sig"}


def test_a20_no_private_member_is_published():
    """C-2: every key has its public members, kid, alg and use."""
    names = {frozenset(member) for member in key_set(ES, ED, RS).to_jwks()["keys"]}
    common = {"kty", "kid", "alg", "use"}
    assert names == {
        frozenset(common | {"crv", "x", "y"}),
        frozenset(common | {"crv", "x"}),
        frozenset(common | {"n", "e"}),
    }


def test_a20_secrets_are_never_published():
    with pytest.raises(KeyRejected, match="published"):
        key_set(HS).to_jwks()


def test_j33_bad_members_are_ignored_and_the_others_are_kept():
    good = ES.public.to_jwk()
    bad = [
        *(None, 5, "key", [], {}, {"kty": "EC"}, {"kty": "unknown", "kid": "x"}, {"kty": ["EC"]}),
        *(
            {**good, "kid": "enc", "use": "enc"},
            {**good, "kid": "y", "y": good["x"]},
            {**RS.to_jwk(), "kid": "private"},
        ),
        {"kty": "RSA", "n": "AQ", "e": "AQAB", "alg": "RS256", "kid": "tiny"},
        {**good, "kid": "k" * 10_000},
    ]
    assert [each.kid for each in KeySet.from_jwks(jwks(*bad, good, *bad[:6]))] == [ES.kid]


@pytest.mark.parametrize(
    "document",
    [
        *(None, [], {}, {"keys": None}, {"keys": {}}, {"keys": "x"}, {"keys": []}, {"keys": [{}]}),
        ES.public.to_jwk(),
        jwks(*[{}] * 101),
        jwks(*[{}] * 10_000),
    ],
)
def test_j33_documents_without_a_usable_key_or_with_too_many_are_refused(document):
    with pytest.raises(KeyRejected):
        KeySet.from_jwks(document)


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", b"null", b'{"keys":[],"keys":[]}', b"\xff", b'{"keys":' + b"[" * 100_000, b" " * 50_000_000],
)
def test_j33_documents_that_are_not_strict_json_or_too_large_are_refused(data):
    with pytest.raises(KeyRejected):
        KeySet.from_json(data)


def test_a22_two_keys_with_the_same_kid_are_refused():
    twins = [SigningKey.generate("ES256", kid="one").public, SigningKey.generate("Ed25519", kid="one").public]
    with pytest.raises(KeyRejected, match="kid"):
        KeySet(twins)
    with pytest.raises(KeyRejected, match="kid"):
        KeySet.from_jwks(jwks(*(twin.to_jwk() for twin in twins)))
    unusable = {**twins[1].to_jwk(), "x": "AA"}
    with pytest.raises(KeyRejected, match="kid"):
        KeySet.from_jwks(jwks(twins[0].to_jwk(), unusable))


def test_a22_mixing_secrets_and_public_keys_is_refused():
    with pytest.raises(KeyRejected, match="mixes"):
        key_set(ES, HS)
    with pytest.raises(KeyRejected, match="mixes"):
        KeySet.from_jwks(jwks(ES.public.to_jwk(), HS.to_jwk()))


def test_a7_one_key_with_two_algorithms_is_refused():
    jwk = RS.public.to_jwk()
    two = [VerifyingKey.from_jwk({**jwk, "alg": alg, "kid": alg}) for alg in ("RS256", "PS256")]
    with pytest.raises(KeyRejected, match="two algorithms"):
        KeySet(two)
    same = [VerifyingKey.from_jwk({**jwk, "kid": kid}) for kid in ("a", "b")]
    assert len(KeySet(same)) == 2


def test_a_key_is_chosen_by_kid_and_algorithm_or_because_it_is_the_only_one():
    several, single = key_set(ES, ED), key_set(ES)
    assert several.choose(Header("ES256", ES.kid, None)) is ES.public
    assert several.choose(Header("EdDSA", ED.kid, None)) is ED.public
    assert several.choose(Header("ES256", ED.kid, None)) is None
    assert several.choose(Header("ES384", ES.kid, None)) is None
    assert several.choose(Header("ES256", "another", None)) is None
    assert several.choose(Header("ES256", None, None)) is None  # J07: keys are never tried one after the other
    assert single.choose(Header("ES256", None, None)) is ES.public
    assert single.choose(Header("ES256", "", None)) is None
    assert KeySet().choose(Header("ES256", None, None)) is None


def test_a_set_of_hmac_keys_is_possible():
    other = HmacKey(b"B" * 32, "HS256")
    assert KeySet([HS, other]).choose(Header("HS256", other.kid, None)) is other
