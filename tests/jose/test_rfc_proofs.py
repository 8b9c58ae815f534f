"""Examples of RFCs that are not access tokens: their parts are correct, and they are refused as tokens."""

import hashlib

import msgspec
import pytest

from ostiary.errors import InvalidToken
from ostiary.jose import KeySet, VerifyingKey, base64url, verify
from tests.jose.material import vectors

DPOP = vectors("rfc/rfc9449_dpop.json")
PKCE = vectors("rfc/rfc7636_pkce.json")
PROOFS = [pytest.param(each, id=f"figure {each['figure']}") for each in DPOP["tests"]]


def test_rfc_9449_the_jkt_is_the_thumbprint_of_the_proofs_key():
    key = VerifyingKey.from_jwk(DPOP["jwk"])
    assert key.thumbprint == DPOP["jkt"] == DPOP["cnf_claims_figure_9"]["cnf"]["jkt"]


@pytest.mark.parametrize("example", PROOFS)
def test_rfc_9449_the_proof_is_signed_with_its_key_and_has_the_claims_of_the_figure(example):
    key = VerifyingKey.from_jwk(DPOP["jwk"])
    message, _, signature = example["proof"].encode().rpartition(b".")
    assert key.matches(base64url.decode(signature), message)
    assert not key.matches(base64url.decode(signature), message[:-1])
    said = msgspec.json.decode(base64url.decode(message.split(b".")[1]))
    assert {name: example[name] for name in ("htm", "htu", "iat")}.items() <= said.items()


@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", None])
@pytest.mark.parametrize("example", PROOFS)
def test_j08_d15_a_proof_is_refused_as_a_token_even_if_its_key_is_known(example, typ):
    """A proof carries its own key. As a token it would verify itself."""
    with pytest.raises(InvalidToken):
        verify(example["proof"], KeySet([VerifyingKey.from_jwk(DPOP["jwk"])]), typ=typ)


def test_rfc_7636_the_challenge_is_the_strict_base64url_of_the_verifiers_hash():
    hashed = hashlib.sha256(PKCE["code_verifier"].encode()).digest()
    assert base64url.encode(hashed).decode() == PKCE["code_challenge"]
    assert base64url.decode(PKCE["code_challenge"].encode()) == hashed
