"""HS256, HS384 and HS512 (RFC 7518 §3.2). Anyone who can verify can also sign, so both sides must be one party."""

from collections.abc import Mapping
from typing import Any, Final, Self, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hmac import HMAC

from ostiary.errors import KeyRejected
from ostiary.jose import jwk as jwks
from ostiary.jose import members
from ostiary.jose.algorithms import SYMMETRIC
from ostiary.jose.key_material import is_asymmetric_key


@final
class HmacKey:
    """A shared secret that signs and verifies. Immutable.

    The secret must be random bytes, not a password, and at least as long as the hash. An attacker who knows a public
    key could sign with it, so public and private keys and certificates are refused. Exactly these are recognised:

    - PEM, SSH, PuTTY, PGP, JWK, JWK Set and XML key text, in any letter case, with any other text around it
    - DER of public keys, private keys, certificates, PKCS#7 and PKCS#12, of 44 bytes or more
    - the SSH wire format, and uncompressed points of P-256, P-384 and P-521
    - each of them in hexadecimal, in base64 with or without padding and line breaks, or with ``\\x`` or percent
      escapes; key text also with JSON escapes, in UTF-16 or UTF-32; up to four of these encodings around each other

    DER in JSON escapes, UTF-16 or UTF-32 is not recognised. Bare numbers cannot be told from random bytes: the 32 bytes
    of an Ed25519 key, a compressed point, an RSA modulus.
    Neither can a hash of a key, nor a key that was compressed or encrypted.
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
    if is_asymmetric_key(secret):
        raise KeyRejected("the HMAC secret is an asymmetric key: anyone who has the public key could sign with it")
