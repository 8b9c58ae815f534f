"""Bytes ⇄ verified claims: JWS compact tokens, their algorithms and keys. Pure: no clock, no I/O, no settings.

Choose `SigningKey.generate("ES256")` to issue, publish `KeySet(...).to_jwks()`, and `verify` with the same `KeySet`;
`HmacKey` only where issuer and verifier are one program. This folder knows bytes and keys; what the claims mean, and
whether the token is still good, is the business of `ostiary.verifier`.
"""

from ostiary.jose.compact import MAX_TOKEN, Verified, sign, verify
from ostiary.jose.header import Header
from ostiary.jose.hmac_key import HmacKey
from ostiary.jose.key_set import Key, KeySet
from ostiary.jose.keys import SigningKey, VerifyingKey

__all__ = [
    "MAX_TOKEN",
    "Header",
    "HmacKey",
    "Key",
    "KeySet",
    "SigningKey",
    "Verified",
    "VerifyingKey",
    "sign",
    "verify",
]
