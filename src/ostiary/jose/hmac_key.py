"""HS256, HS384 and HS512 (RFC 7518 §3.2). Anyone who can verify can also sign, so both sides must be one party."""

import binascii
from collections.abc import Mapping
from typing import Any, Final, Self, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hmac import HMAC

from ostiary.errors import KeyRejected
from ostiary.jose import jwk as jwks
from ostiary.jose import members
from ostiary.jose.algorithms import SYMMETRIC


@final
class HmacKey:
    """A shared secret that signs and verifies. Immutable.

    The secret must be random bytes, not a password, and at least as long as the hash. Public keys in any encoding are
    refused: an attacker who knows the public key could sign with it.
    """

    __slots__ = ("_keyed", "_secret", "alg", "kid", "spellings", "thumbprint")

    alg: str
    kid: str
    spellings: frozenset[str]
    thumbprint: str

    def __init__(self, secret: bytes, alg: str, *, kid: str | None = None) -> None:
        algorithm = SYMMETRIC.get(alg) if isinstance(alg, str) else None
        if algorithm is None:
            raise KeyRejected(f"the HMAC algorithm is not supported: use one of {', '.join(SYMMETRIC)}")
        _check_secret(secret, algorithm.digest_size)
        self._secret = bytes(secret)
        self._keyed = HMAC(self._secret, algorithm)
        self.alg = alg
        self.spellings = frozenset({alg})
        self.thumbprint = jwks.thumbprint(self._members())
        self.kid = self.thumbprint if kid is None else jwks.checked_kid(kid)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any], *, alg: str | None = None) -> Self:
        """Reads a JWK of type ``oct``. Pass ``alg`` if the JWK does not name its algorithm."""
        jwks.check_use(jwk, "verify")
        own = members.text(jwk, "alg") if "alg" in jwk else alg
        if members.text(jwk, "kty") != "oct" or own is None or (alg is not None and own != alg):
            raise KeyRejected("the JWK must have kty oct and name this algorithm, or pass alg=…")
        return cls(members.octets(jwk, "k"), own, kid=jwks.kid_of(jwk))

    def sign(self, message: bytes) -> bytes:
        mac = self._keyed.copy()
        mac.update(message)
        return mac.finalize()

    def matches(self, signature: bytes, message: bytes) -> bool:
        """Whether this key made ``signature`` for ``message``. The comparison takes constant time."""
        mac = self._keyed.copy()
        mac.update(message)
        try:
            mac.verify(signature)
        except InvalidSignature:
            return False
        return True

    def to_jwk(self) -> dict[str, str]:
        """The JWK, which contains the secret. Encrypt it before you store it."""
        return {**self._members(), "alg": self.alg, "kid": self.kid, "use": "sig"}

    def _members(self) -> dict[str, str]:
        return {"k": members.written(self._secret), "kty": "oct"}

    def __repr__(self) -> str:
        return f"HmacKey(alg={self.alg!r}, kid={self.kid!r})"


# Published example secrets that are long enough to pass the length check.
_PUBLISHED: Final = frozenset(
    {
        b"a-string-secret-at-least-256-bits-long",
        b"a-valid-string-secret-that-is-at-least-384-bits-long",
        b"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
        b"qwertyuiopasdfghjklzxcvbnm123456",
    }
)


def _check_secret(secret: bytes, least: int) -> None:
    if not isinstance(secret, bytes):
        raise KeyRejected("the HMAC secret must be bytes: pass random bytes, not a passphrase or an encoded key")
    if len(secret) < least:
        raise KeyRejected(f"the HMAC secret has {len(secret)} bytes and needs {least} (RFC 7518 §3.2)")
    if secret in _PUBLISHED:
        raise KeyRejected("the HMAC secret is a published example from documentation: generate a random one")
    if _is_asymmetric_key(secret):
        raise KeyRejected("the HMAC secret is an asymmetric key: anyone who has the public key could sign with it")


_MARKS: Final = (
    b"-----begin",
    b"---- begin",
    b"ssh-rsa",
    b"ssh-ed25519",
    b"ssh-dss",
    b"ecdsa-sha2-",
    b'"kty"',
    b'"keys"',
)


def _is_asymmetric_key(secret: bytes) -> bool:
    """Whether the bytes are a key in PEM, DER, SSH, JWK or X.509 form, alone or with other text around it.

    CVE-2022-29217, CVE-2024-33663, GHSA-xgmm-8j9v-c9wx, CVE-2026-114615: every list of prefixes has been evaded. The
    marks are therefore searched for everywhere and in any letter case, and NULs (UTF-16) are dropped.
    """
    text = secret.replace(b"\0", b"").lower()
    return any(mark in text for mark in _MARKS) or _is_der(secret) or _is_der(_from_base64(secret))


def _is_der(data: bytes) -> bool:
    """Whether the bytes are one DER SEQUENCE that begins like a key or certificate (SEQUENCE or INTEGER inside)."""
    data = data.lstrip()
    if len(data) < 44 or data[0] != 0x30:  # 44 bytes: an Ed25519 public key, the shortest kind
        return False
    length_bytes = data[1] & 0x7F if data[1] & 0x80 else 0
    start = 2 + length_bytes
    end = start + (int.from_bytes(data[2:start], "big") if length_bytes else data[1])
    return length_bytes <= 3 and len(data.rstrip()) <= end <= len(data) and data[start] in {0x30, 0x02}


def _from_base64(secret: bytes) -> bytes:
    try:
        return binascii.a2b_base64(secret)
    except binascii.Error:
        return b""
