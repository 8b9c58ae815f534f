"""Any text as token: what is accepted is, to the letter, what the key signs. It is so the second time as well."""

from ostiary.jose import base64url
from tests.fuzz.known import AUDIENCE, ISSUER, VERIFIERS, claims_of


def check(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for verifier, key in VERIFIERS.values():
        first, second = claims_of(verifier, text), claims_of(verifier, text)
        assert first == second, "another answer for the same token"
        if first is not None:
            message, _, signature = text.rpartition(".")
            assert base64url.encode(key.sign(message.encode())).decode() == signature, "accepted, but not signed"
            assert (first.iss, first.aud) == (ISSUER, AUDIENCE) or AUDIENCE in first.aud
