"""Project Wycheproof through the public API. Labels are corrected as described in tests/vectors/ORIGINS.md."""

import pytest

from ostiary.errors import InvalidToken, KeyRejected
from ostiary.jose import HmacKey, KeySet, VerifyingKey, verify
from tests.jose.material import vectors

SIGNATURES = vectors("wycheproof/json_web_signature_test.json")["testGroups"]
KEYS = vectors("wycheproof/json_web_key_test.json")["testGroups"]

LABELLED_INVALID_BUT_IDENTICAL_TO_A_VALID_ONE = {367, 370}
LABELLED_VALID_BUT_NOT_BASE64URL = {372, 373}
LABELLED_VALID_BUT_THE_KEY_IS_FOR_ANOTHER_ALGORITHM = {346: "PS384", 347: "ES512", 350: "PS384", 351: "ES512"}

LABELLED_AMBIGUOUS_BUT_THE_OTHER_KEY_IS_MALFORMED = 4


def public_part(group):
    return group.get("public") or group["private"]


def cases(groups):
    return [pytest.param(group, test, id=str(test["tcId"])) for group in groups for test in group["tests"]]


def read_key(jwk):
    return HmacKey.from_jwk(jwk) if jwk["kty"] == "oct" else VerifyingKey.from_jwk(jwk)


def is_accepted(token, make_keys):
    try:
        verify(token, make_keys(), typ=None)
    except (InvalidToken, KeyRejected):
        return False
    return True


def is_good(test):
    if test["tcId"] in LABELLED_INVALID_BUT_IDENTICAL_TO_A_VALID_ONE:
        return True
    if test["tcId"] in LABELLED_VALID_BUT_NOT_BASE64URL | LABELLED_VALID_BUT_THE_KEY_IS_FOR_ANOTHER_ALGORITHM.keys():
        return False
    return test["result"] == "valid"


@pytest.mark.parametrize(("group", "test"), cases(SIGNATURES))
def test_signatures(group, test):
    assert is_accepted(test["jws"], lambda: KeySet([read_key(public_part(group))])) is is_good(test)


def test_the_four_tokens_whose_keys_name_a_wrong_algorithm_are_valid_with_the_right_one():
    for group in SIGNATURES:
        for test in group["tests"]:
            alg = LABELLED_VALID_BUT_THE_KEY_IS_FOR_ANOTHER_ALGORITHM.get(test["tcId"])
            if alg is not None:
                jwk = {**public_part(group), "alg": alg}
                assert verify(test["jws"], KeySet([read_key(jwk)]), typ=None).header.alg == alg


@pytest.mark.parametrize(("group", "test"), cases(KEYS))
def test_key_sets(group, test):
    accepted = is_accepted(test["jws"], lambda: KeySet.from_jwks(public_part(group)))
    is_usable = test["tcId"] == LABELLED_AMBIGUOUS_BUT_THE_OTHER_KEY_IS_MALFORMED
    assert accepted is (is_usable or test["result"] == "valid")


PRIMITIVES = [
    ("ES256", "ecdsa_secp256r1_sha256_p1363_test.json"),
    ("Ed25519", "ed25519_test.json"),
    ("PS256", "rsa_pss_2048_sha256_mgf1_32_test.json"),
    ("RS256", "rsa_signature_2048_sha256_test.json"),
]


def keys_of(group, alg):
    """The group's key from its PEM, and from its JWK if there is one."""
    yield VerifyingKey.from_pem(group["publicKeyPem"].encode(), alg=alg)
    jwk = group.get("publicKeyJwk") or group.get("keyJwk")
    if jwk is not None:
        yield VerifyingKey.from_jwk(
            {name: jwk[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in jwk}, alg=alg
        )


@pytest.mark.parametrize(("alg", "name"), PRIMITIVES)
def test_primitives(alg, name):
    """J11, J12, J38: zero, out of range, DER, malleated, other paddings. `acceptable` vectors are refused too."""
    wrong = [
        test["tcId"]
        for group in vectors("wycheproof/" + name)["testGroups"]
        for key in keys_of(group, alg)
        for test in group["tests"]
        if key.matches(bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"])) is not (test["result"] == "valid")
    ]
    assert wrong == []


def test_all_vectors_are_present():
    assert sum(len(group["tests"]) for group in SIGNATURES) == 401
    assert sum(len(group["tests"]) for group in KEYS) == 26
    counts = [vectors("wycheproof/" + name)["numberOfTests"] for _, name in PRIMITIVES]
    assert counts == [262, 151, 108, 259]
