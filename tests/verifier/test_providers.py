"""Tokens and key sets in the shapes that well-known providers publish: tests/vectors/ORIGINS.md."""

import json

import pytest

from ostiary.errors import BadSignature
from ostiary.jose import base64url
from ostiary.verifier import Expectation, JwtVerifier, RemoteKeys
from tests.jose.material import key, vectors
from tests.verifier.issuers import JWKS, METADATA, OPENID, Issuer, json_answer
from tests.verifier.material import NOW

PROVIDERS = vectors("providers/shapes.json")
LIFETIME = 3600


def signing_key(shape, number):
    """A key for the test, of the shape's type."""
    kinds = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
    return key(shape["alg"] if shape.get("alg") == "PS256" else kinds[shape["kty"]], number)


def published(provider):
    """The set in the provider's shape. The members of the key itself come from a key of the test."""
    keys = []
    for number, shape in enumerate(provider["keys"]):
        own = signing_key(shape, number).public.to_jwk()
        material = {name: own[name] for name in ("n", "e", "x", "y") if name in own}
        keys.append({**{name: value for name, value in shape.items() if name != "signs"}, **material})
    return {"keys": keys}


def token(provider, issuer, *, alg=None):
    header = {**provider["header"], "alg": alg or provider["alg"]}
    claims = {
        "aud": "client",
        "sub": "248289761001",
        "iat": NOW,
        "exp": NOW + LIFETIME,
        **provider["claims"],
        "iss": issuer,
    }
    message = b".".join(base64url.encode(json.dumps(part).encode()) for part in (header, claims))
    number = next(number for number, shape in enumerate(provider["keys"]) if shape.get("signs"))
    return (message + b"." + base64url.encode(key(header["alg"], number).sign(message))).decode()


def verifier(provider, keys):
    return JwtVerifier(
        issuers={keys.issuer: keys},
        audience="client",
        expectation=Expectation(typ=provider["typ"], required=("sub", "iat")),
        clock=lambda: NOW,
    )


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider["provider"])
def test_a_token_in_the_shape_of_a_well_known_provider_is_accepted(provider):
    with Issuer() as issuer:
        issuer.answers[JWKS] = json_answer(published(provider))
        issuer.answers[OPENID] = issuer.answers.pop(METADATA)
        issuer.answers[METADATA] = (404, {"content-type": "text/html"}, b"not here")
        keys = RemoteKeys(issuer.url, openid=True, alg=provider.get("pin"), development=True)
        claims = verifier(provider, keys).verify(token(provider, issuer.url))
        assert (claims.sub, claims.exp) == ("248289761001", NOW + LIFETIME)
        assert claims.extra.keys() == provider["claims"].keys() - {"aud", "nbf", "jti"}
        assert len(keys.skipped) == sum(shape.get("use") == "enc" for shape in provider["keys"])


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider["provider"])
def test_a7_the_header_of_such_a_token_never_chooses_the_algorithm(provider):
    others = {"RS256": "PS256", "PS256": "RS256", "ES256": "ES384", "EdDSA": "ES256"}
    with Issuer() as issuer:
        issuer.answers[JWKS] = json_answer(published(provider))
        keys = RemoteKeys(issuer.url, alg=provider.get("pin"), development=True)
        with pytest.raises(BadSignature):
            verifier(provider, keys).verify(token(provider, issuer.url, alg=others[provider["alg"]]))


def test_what_was_left_out_of_a_set_and_why_can_be_seen_and_is_logged_once(caplog):
    caplog.set_level("INFO", "ostiary")
    keycloak = next(provider for provider in PROVIDERS if provider["provider"] == "Keycloak")
    with Issuer() as issuer:
        document = published(keycloak)
        document["keys"].append({"kty": "RSA", "kid": "bad\r\nline", "n": "AQAB", "e": "AQAB"})
        issuer.answers[JWKS] = json_answer(document)
        now = [1000.0]
        keys = RemoteKeys(issuer.url, development=True, monotonic=lambda: now[0])
        assert keys.skipped == ()
        for _ in range(2):
            keys.refresh()
            now[0] += 7200.0
        assert issuer.asked[JWKS] == 2
        assert [(each.index, each.kid) for each in keys.skipped] == [(0, "enc-1"), (2, None)]
        assert [(line.getMessage(), line.issuer, line.kid, line.reason) for line in caplog.records] == [
            ("remote_keys.key_skipped", issuer.url, each.kid, each.reason) for each in keys.skipped
        ]
        assert "use must be sig" in keys.skipped[0].reason
        issuer.answers[JWKS] = json_answer({"keys": document["keys"][1:2]})
        keys.refresh()
        assert keys.skipped == ()
