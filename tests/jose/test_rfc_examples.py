"""The examples of the RFCs: tokens verify, keys make the signatures shown, and thumbprints are equal."""

import pytest

from ostiary.errors import BadSignature, KeyRejected
from ostiary.jose import HmacKey, KeySet, SigningKey, VerifyingKey, base64url, verify
from tests.jose.material import vectors

JWS = vectors("rfc/rfc7515_appendix_a.json")["tests"]
SIGNED = [example for example in JWS if example["alg"] != "none"]
THUMBPRINT = vectors("rfc/rfc7638_thumbprint.json")
ED25519 = vectors("rfc/rfc8037_appendix_a.json")
ML_DSA = [vectors(f"rfc/ml_dsa_jose/ML_DSA_{level}.jose.json") for level in (44, 65, 87)]


def public_members(jwk):
    return {
        name: value for name, value in jwk.items() if name in {"kty", "crv", "x", "y", "n", "e", "alg", "pub", "kid"}
    }


def split(token):
    message, _, signature = token.encode().rpartition(b".")
    return message, base64url.decode(signature)


@pytest.mark.parametrize("example", SIGNED, ids=lambda example: example["source"])
def test_rfc_7515(example):
    jwk, alg = example["key"], example["alg"]
    symmetric = jwk["kty"] == "oct"
    key = HmacKey.from_jwk(jwk, alg=alg) if symmetric else VerifyingKey.from_jwk(public_members(jwk), alg=alg)
    verified = verify(example["compact"], KeySet([key]), typ="JWT" if alg == "HS256" else None)
    assert verified.payload == base64url.decode(example["compact"].split(".")[1].encode())


@pytest.mark.parametrize("example", SIGNED, ids=lambda example: example["source"])
def test_rfc_7515_private_keys_give_the_signatures_shown(example):
    """HMAC and RSA give the same bytes. ECDSA adds randomness, so its signatures differ each time."""
    jwk, alg = example["key"], example["alg"]
    message, shown = split(example["compact"])
    key = HmacKey.from_jwk(jwk, alg=alg) if jwk["kty"] == "oct" else SigningKey.from_jwk(jwk, alg=alg)
    made = key.sign(message)
    assert len(made) == len(shown)
    assert (made == shown) is (not alg.startswith("ES"))


def test_rfc_7515_unsecured_tokens_are_refused():
    [unsecured] = [example for example in JWS if example["alg"] == "none"]
    for key in (HmacKey(b"A" * 32, "HS256"), SigningKey.generate("ES256").public):
        with pytest.raises(BadSignature):
            verify(unsecured["compact"], KeySet([key]), typ=None)
    with pytest.raises(KeyRejected):
        HmacKey.from_jwk(unsecured["key"], alg="none")


def test_rfc_8037():
    key = SigningKey.from_jwk(ED25519["jwk"])
    message, signature = split(ED25519["compact"])
    assert key.sign(message) == signature
    assert verify(ED25519["compact"], KeySet([key.public]), typ=None).payload == b"Example of Ed25519 signing"
    assert key.public.thumbprint == ED25519["thumbprint_sha256"]


def test_rfc_7638():
    key = VerifyingKey.from_jwk(THUMBPRINT["jwk"])
    assert key.thumbprint == THUMBPRINT["thumbprints"]["sha256"]
    assert key.kid == "2011-04-29"


@pytest.mark.parametrize("example", ML_DSA, ids=lambda example: example["jwk"]["alg"])
def test_rfc_9964(example):
    key = SigningKey.from_jwk(example["jwk"])
    assert key.alg == example["jwk"]["alg"]
    assert key.public.thumbprint == key.kid == example["jwk"]["kid"]
    payload = verify(example["jws"], KeySet([VerifyingKey.from_jwk(public_members(example["jwk"]))]), typ=None).payload
    assert payload.startswith("It\u2019s a dangerous business".encode())
    assert key.to_jwk()["priv"] == example["jwk"]["priv"]
