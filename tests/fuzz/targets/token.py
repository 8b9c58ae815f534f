"""Any text as a token. An accepted token is exactly what the key signs. A second verification gives the same result."""

from ostiary.jose import base64url
from tests.fuzz.known import AUDIENCE, ISSUER, VERIFIERS, claims_of


def check(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for verifier, key in VERIFIERS.values():
        first, second = claims_of(verifier, text), claims_of(verifier, text)
        assert first == second, "a different result for the same token"
        if first is not None:
            message, _, signature = text.rpartition(".")
            assert base64url.encode(key.sign(message.encode())).decode() == signature, "accepted, but not signed"
            assert (first.iss, first.aud) == (ISSUER, AUDIENCE) or AUDIENCE in first.aud
