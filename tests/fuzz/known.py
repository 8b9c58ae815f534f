"""The keys that every run has, and who accepts what they sign. Fixed, so that tokens in the corpus stay good."""

from typing import Any, Final

from ostiary.errors import InvalidToken
from ostiary.jose import HmacKey, SigningKey, base64url
from ostiary.verifier import AccessToken, KnownRevocations, Principal, Verifier

NOW: Final = 1_800_000_000
LEEWAY: Final = 30
ISSUER: Final = "https://i"
AUDIENCE: Final = "https://a"

# Signing again with either of them gives the same bytes again.
SECRET: Final = HmacKey(bytes(range(32)), "HS256", kid="h")
EDWARDS: Final = SigningKey.from_jwk(  # RFC 8037 appendix A.1
    {
        "kty": "OKP",
        "crv": "Ed25519",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "e",
    },
    alg="EdDSA",
)


def verifier_of(key: Any) -> Verifier:
    return Verifier(
        keys=[key], issuer=ISSUER, audience=AUDIENCE, leeway=LEEWAY, clock=lambda: NOW,
        revocations=KnownRevocations(fresh=lambda: True),
    )  # fmt: skip


VERIFIERS: Final = {"h": (verifier_of(SECRET), SECRET), "e": (verifier_of(EDWARDS.public), EDWARDS)}


def claims_of(verifier: Verifier, text: str) -> AccessToken | None:
    """None where the token is refused as it should be: with an error of its family."""
    try:
        claims = verifier.verify(text)
        assert verifier.issued(text) == claims
        Principal.of(claims)
    except InvalidToken:
        return None
    return claims


def signed(header: bytes, payload: bytes) -> str:
    """A token of any content, truly signed."""
    message = base64url.encode(header) + b"." + base64url.encode(payload)
    return (message + b"." + base64url.encode(SECRET.sign(message))).decode()
