"""Rules that hold for every accepted key."""

from typing import Any, Final

from ostiary.jose import SigningKey, VerifyingKey

ALGORITHMS: Final = ("ES256", "ES512", "EdDSA", "RS256", "PS256", "ML-DSA-44")


def must_come_back(key: Any) -> None:
    """Checks that the key survives a round trip through its JWK and verifies only what it signed."""
    again = type(key).from_jwk(key.to_jwk())
    assert again.to_jwk() == key.to_jwk()
    public = key.public if isinstance(key, SigningKey) else key
    assert public.alg == key.alg
    assert not public.matches(b"", b"")
    if not isinstance(key, VerifyingKey):
        signature = key.sign(b"message")
        assert public.matches(signature, b"message")
        assert not public.matches(signature, b"massage")
