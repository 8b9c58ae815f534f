"""Tokens and verifiers for the tests, at a fixed time."""

import json
from typing import Any

from ostiary.jose import HmacKey, SigningKey, sign
from ostiary.verifier import AAL1, ACCESS_TOKEN_TYPE, AccessToken, KnownRevocations, Verifier, encode_access_token

NOW = 1_800_000_000
LEEWAY = 30
ISSUER = "https://auth.example.com"
AUDIENCE = "https://orders.example.com"

KEY = SigningKey.generate("ES256")
SECRET = HmacKey(b"0123456789abcdef0123456789ABCDEF", "HS256")

CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "acc_1",
    "aud": AUDIENCE,
    "exp": NOW + 900,
    "iat": NOW,
    "jti": "token-1",
    "client_id": "client_first_party",
    "sid": "session-1",
    "ver": 3,
    "roles": ("user", "editor"),
    "scope": "orders:read orders:write",
    "auth_time": NOW - 1000,
    "acr": AAL1,
    "amr": ("pwd",),
}


def access_token(**changes: Any) -> AccessToken:
    return AccessToken(**{**CLAIMS, **changes})


def issue(**changes: Any) -> str:
    """A token as Ostiary issues it."""
    return sign(encode_access_token(access_token(**changes)), KEY, typ=ACCESS_TOKEN_TYPE)


def issue_json(payload: Any, *, typ: str | None = ACCESS_TOKEN_TYPE, key: SigningKey | HmacKey = KEY) -> str:
    """A token with a valid signature and any payload: bytes, or a value to write as JSON."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return sign(data, key, typ=typ)


def issue_claims(*without: str, **changes: Any) -> str:
    """A token with a valid signature and changed or missing claims of any type."""
    return issue_json({name: value for name, value in {**CLAIMS, **changes}.items() if name not in without})


def verifier(**changes: Any) -> Verifier:
    parameters: dict[str, Any] = {
        "keys": [KEY.public],
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "leeway": LEEWAY,
        "clock": lambda: NOW,
    }
    return Verifier(**{**parameters, **changes})


def revocations(*, fresh: bool = True) -> KnownRevocations:
    return KnownRevocations(fresh=lambda: fresh)
