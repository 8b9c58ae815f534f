"""Sign and verify compact JWS tokens: their format, algorithms and keys. No clock, no I/O, no settings.

To issue tokens, create a key with `SigningKey.generate("ES256")`. Publish `KeySet(...).to_jwks()`, and `verify` with
the same `KeySet`. Use `HmacKey` only if issuer and verifier are the same program. This folder handles bytes and keys.
`ostiary.verifier` decides what the claims mean and whether the token is still valid.
"""

from ostiary.jose.compact import MAX_TOKEN, Verified, sign, verify
from ostiary.jose.header import Header
from ostiary.jose.hmac_key import HmacKey
from ostiary.jose.key_set import Key, KeySet, SkippedKey
from ostiary.jose.keys import SigningKey, VerifyingKey

__all__ = [
    "MAX_TOKEN",
    "Header",
    "HmacKey",
    "Key",
    "KeySet",
    "SigningKey",
    "SkippedKey",
    "Verified",
    "VerifyingKey",
    "sign",
    "verify",
]
