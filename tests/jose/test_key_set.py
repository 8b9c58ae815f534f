"""`KeySet`: the right key is never a guess, and published sets contain no secrets."""

import json

import pytest

from ostiary.errors import KeyRejected
from ostiary.jose import HmacKey, KeySet, SigningKey, VerifyingKey, base64url
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


def test_a22_mixing_secrets_and_public_keys_is_refused():
    with pytest.raises(KeyRejected, match="mixes"):
        key_set(ES, HS)


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


# -- published sets of others ------------------------------------------------------------------------------------------


def without(jwk, *names):
    return {name: value for name, value in jwk.items() if name not in names}


def used(*members, **parameters):
    """kid → algorithm of the keys that are used, and kid → reason for the members that are left out."""
    keys = KeySet.from_jwks(jwks(*members), **parameters)
    return {each.kid: each.alg for each in keys}, {each.kid: each.reason for each in keys.skipped}


ES_JWK, ED_JWK, RS_JWK = (each.public.to_jwk() for each in (ES, ED, RS))
BARE_RSA = without(RS_JWK, "alg")
OTHER_RSA = {**key("RS256", 1).public.to_jwk(), "kid": "other"}


def test_an_rsa_key_without_alg_is_used_with_rs256_and_only_with_it():
    """Entra ID publishes its keys without alg. The token's header still decides nothing (RFC 8725bis §3.1)."""
    keys = KeySet.from_jwks(jwks(BARE_RSA))
    assert keys.choose(Header("RS256", RS.kid, None)).kid == RS.kid
    for alg in ("PS256", "RS384", "RS512", "HS256", "none"):
        assert keys.choose(Header(alg, RS.kid, None)) is None


def test_an_rsa_key_without_alg_is_used_with_the_pinned_algorithm_and_only_with_it():
    keys = KeySet.from_jwks(jwks(BARE_RSA), alg="PS256")
    assert keys.choose(Header("PS256", RS.kid, None)).kid == RS.kid
    assert keys.choose(Header("RS256", RS.kid, None)) is None


def test_keys_without_alg_have_the_only_algorithm_of_their_curve():
    curves = {alg: without(key(alg).public.to_jwk(), "alg") for alg in ("ES256", "ES384", "ES512", "Ed25519")}
    assert used(*curves.values())[0] == {jwk["kid"]: alg for alg, jwk in curves.items()}


def test_a_pin_leaves_out_the_keys_for_other_algorithms():
    found, skipped = used(RS_JWK, ES_JWK, ED_JWK, alg="ES256")
    assert found == {ES.kid: "ES256"}
    assert set(skipped) == {RS.kid, ED.kid}
    assert used(ED_JWK, alg="EdDSA")[0] == {ED.kid: "EdDSA"}


@pytest.mark.parametrize("alg", ["none", "HS256", "RS1", "", 5])
def test_a_pin_must_be_a_supported_algorithm(alg):
    with pytest.raises(KeyRejected):
        KeySet.from_jwks(jwks(RS_JWK), alg=alg)


def test_an_rsa_modulus_with_a_leading_zero_octet_is_the_same_key():
    """RFC 7518 §6.3.1.1 warns of libraries that write it."""
    modulus = base64url.decode(RS_JWK["n"].encode())
    padded, twice = ({**BARE_RSA, "n": base64url.encode(zeros + modulus).decode()} for zeros in (b"\0", b"\0\0"))
    assert VerifyingKey.from_jwk(padded, alg="RS256").to_jwk() == RS_JWK
    assert used(without(padded, "kid"), ES_JWK) == ({RS.public.thumbprint: "RS256", ES.kid: "ES256"}, {})
    assert used(twice, ES_JWK)[0] == {ES.kid: "ES256"}


DOUBTFUL = {
    "an encryption key with the kid of a signing key": {**OTHER_RSA, "kid": RS.kid, "use": "enc", "alg": "RSA-OAEP"},
    "the same key twice": RS_JWK,
    "the same key twice, once without alg": BARE_RSA,
    "one key under RS256 and PS256": {**RS_JWK, "alg": "PS256"},
    "one key under RS256 and PS256, with two kids": {**RS_JWK, "alg": "PS256", "kid": "ps"},
    "an unknown kty": {"kty": "XYZ", "kid": "new"},
    "an unknown curve": {"kty": "EC", "crv": "secp256k1", "kid": "k1", "x": "AA", "y": "AA"},
    "an unknown algorithm": {**OTHER_RSA, "alg": "RS999"},
    "a broken key": {**OTHER_RSA, "n": "!"},
    "a short key": {**OTHER_RSA, "n": "AQAB"},
    "a private key": {**key("RS256", 1).to_jwk(), "kid": "private"},
    "a secret": {**HS.to_jwk(), "kid": "secret"},
    "a kid that is no string": {**OTHER_RSA, "kid": 7},
    "a member that is no object": "RSA",
    "null": None,
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_one_doubtful_member_never_takes_the_others_down(name):
    keys = KeySet.from_jwks(jwks(RS_JWK, DOUBTFUL[name], ES_JWK))
    assert {each.kid: each.alg for each in keys} == {RS.kid: "RS256", ES.kid: "ES256"}
    assert keys.choose(Header("RS256", RS.kid, None)).thumbprint == RS.public.thumbprint
    assert [each.index for each in keys.skipped] == [1]
    assert keys.skipped[0].reason


def test_a_member_of_an_unknown_kty_is_skipped_with_this_reason():
    assert used({"kty": "XYZ", "kid": "new"}, RS_JWK) == ({RS.kid: "RS256"}, {"new": "the JWK has an unknown kty"})


@pytest.mark.parametrize("twin", [{**OTHER_RSA, "kid": "one"}, {**ED_JWK, "kid": "one"}, {**HS.to_jwk(), "kid": "x"}])
def test_a22_keys_that_share_a_kid_are_all_left_out(twin):
    """The right one would be a guess, or the token's own choice."""
    found, skipped = used({**RS_JWK, "kid": twin["kid"]}, twin, ES_JWK)
    secret = twin["kty"] == "oct"
    assert found == {ES.kid: "ES256", **({"x": "RS256"} if secret else {})}
    assert set(skipped) == {twin["kid"]}


@pytest.mark.parametrize("name", ["an encryption key with the kid of a signing key", "a broken key", "a secret"])
def test_the_order_of_unusable_members_does_not_matter(name):
    assert used(DOUBTFUL[name], RS_JWK, ES_JWK)[0] == {RS.kid: "RS256", ES.kid: "ES256"}


def test_a7_a_key_listed_with_two_algorithms_uses_the_first():
    for first, second in (("RS256", "PS256"), ("PS256", "RS256")):
        keys = KeySet.from_jwks(jwks({**RS_JWK, "alg": first}, {**RS_JWK, "alg": second}, ES_JWK))
        assert keys.choose(Header(first, RS.kid, None)).alg == first
        assert keys.choose(Header(second, RS.kid, None)) is None


def test_reasons_never_repeat_what_the_issuer_sent():
    """P04: a published set must not be able to write log lines of its own."""
    evil = "x\r\n{} \x1b[2J"
    members = [{**OTHER_RSA, name: evil} for name in ("kid", "kty", "alg", "use", "n", "e")]
    for each in KeySet.from_jwks(jwks(*members, ES_JWK)).skipped:
        assert "\x1b" not in each.reason
        assert each.kid in {"other", None}


def test_a_set_without_a_usable_key_says_why():
    with pytest.raises(KeyRejected, match=r"no usable key: .* its use must be sig"):
        KeySet.from_jwks(jwks({**RS_JWK, "use": "enc"}))
