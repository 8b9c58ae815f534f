"""The keys of every run and the verifiers that accept them. They are fixed, so that tokens in the corpus stay valid."""

from typing import Any, Final

from ostiary.errors import InvalidToken
from ostiary.jose import HmacKey, SigningKey, base64url
from ostiary.verifier import AccessToken, KnownRevocations, Principal, Verifier

NOW: Final = 1_800_000_000
LEEWAY: Final = 30
ISSUER: Final = "https://i"
AUDIENCE: Final = "https://a"

# Both keys sign deterministically.
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
    """Returns None if the token is rejected with an InvalidToken error, as it should be."""
    try:
        claims = verifier.verify(text)
        assert verifier.issued(text) == claims
        Principal.of(claims)
    except InvalidToken:
        return None
    return claims


def signed(header: bytes, payload: bytes) -> str:
    """Returns a token with any content and a valid signature."""
    message = base64url.encode(header) + b"." + base64url.encode(payload)
    return (message + b"." + base64url.encode(SECRET.sign(message))).decode()
