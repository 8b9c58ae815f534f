"""Keys and tokens for the tests. Each key is generated once per run."""

import functools
import json
from pathlib import Path
from typing import Any

from ostiary.jose import HmacKey, KeySet, SigningKey, base64url, sign

VECTORS = Path(__file__).parent.parent / "vectors"

HMAC = ("HS256", "HS384", "HS512")
ASYMMETRIC = (
    *("ES256", "ES384", "ES512", "Ed25519", "EdDSA"),
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ML-DSA-44", "ML-DSA-65", "ML-DSA-87"),
)


def vectors(name: str) -> Any:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


@functools.cache
def key(alg: str, number: int = 0) -> SigningKey | HmacKey:
    """The ``number``-th key for an algorithm. All RSA algorithms share a few keys, because generating one is slow."""
    if alg in HMAC:
        return HmacKey(bytes([65 + number]) * 64, alg)
    if alg[:2] in {"RS", "PS"} and alg != "RS256":
        return SigningKey.from_jwk({**key("RS256", number).to_jwk(), "alg": alg})
    return SigningKey.generate(alg)


def public(signing: SigningKey | HmacKey) -> Any:
    return signing.public if isinstance(signing, SigningKey) else signing


def key_set(*signing: SigningKey | HmacKey) -> KeySet:
    return KeySet(public(each) for each in signing)


def token(payload: bytes = b'{"sub":"me"}', *, alg: str = "ES256", typ: str | None = "at+jwt") -> str:
    return sign(payload, key(alg), typ=typ)


def with_header(header: bytes, payload: bytes = b'{"sub":"me"}', *, signing: SigningKey | HmacKey | None = None) -> str:
    """A token with any header and a valid signature, so only the header can be the reason for a refusal."""
    message = base64url.encode(header) + b"." + base64url.encode(payload)
    return (message + b"." + base64url.encode((signing or key("ES256")).sign(message))).decode()
