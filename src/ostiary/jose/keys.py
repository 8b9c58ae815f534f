"""Typed keys for asymmetric algorithms.

A key has exactly one algorithm. It is fixed when the key is created, and no token header can change it. Keys are
immutable and thread-safe. Their ``repr`` shows no secret.
"""

from collections.abc import Callable, Mapping
from typing import Any, Self, final

from ostiary.errors import KeyRejected
from ostiary.jose import jwk as jwks
from ostiary.jose.algorithms import scheme_named
from ostiary.jose.algorithms.scheme import Scheme
from ostiary.jose.pem import read_private, read_public


@final
class VerifyingKey:
    """A public key. Create one with `from_jwk` or `from_pem`, or use `SigningKey.public`."""

    __slots__ = ("_members", "alg", "kid", "matches", "spellings", "thumbprint")

    alg: str
    kid: str
    matches: Callable[[bytes, bytes], bool]
    """(signature, message) → whether this key made the signature for the message."""
    spellings: frozenset[str]
    """The names that a header may use for the algorithm."""
    thumbprint: str

    def __init__(self, scheme: Scheme[Any, Any], key: object, *, kid: str | None = None) -> None:
        public = scheme.accept_public(key)
        self._members = scheme.write_public(public)
        self.alg = scheme.name
        self.spellings = scheme.spellings
        self.thumbprint = jwks.thumbprint(self._members)
        self.kid = self.thumbprint if kid is None else jwks.checked_kid(kid)
        self.matches = scheme.matcher(public)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any], *, alg: str | None = None) -> Self:
        """Reads a public JWK.

        Pass ``alg`` if the JWK does not name an algorithm and its curve does not determine one.

        Raises:
            KeyRejected: the JWK has private members or another use or algorithm, or the key is weak, malformed or
                inconsistent.
        """
        jwks.check_use(jwk, "verify")
        if not jwks.PRIVATE_MEMBERS.isdisjoint(jwk):
            raise KeyRejected("the JWK has private members: pass only its public members")
        scheme = jwks.scheme_of(jwk, alg)
        return cls(scheme, scheme.read_public(jwk), kid=jwks.kid_of(jwk))

    @classmethod
    def from_pem(cls, pem: bytes, *, alg: str, kid: str | None = None) -> Self:
        """Reads ``-----BEGIN PUBLIC KEY-----``. Raises KeyRejected for anything else, including private keys."""
        return cls(scheme_named(alg), read_public(pem), kid=kid)

    def to_jwk(self) -> dict[str, str]:
        """The public JWK with ``kid``, ``alg`` and ``use``, to put into a JWK Set."""
        return {**self._members, "alg": self.alg, "kid": self.kid, "use": "sig"}

    def __repr__(self) -> str:
        return f"VerifyingKey(alg={self.alg!r}, kid={self.kid!r})"


@final
class SigningKey:
    """A private key and its public key. Create one with `generate`, `from_jwk` or `from_pem`."""

    __slots__ = ("_key", "_scheme", "alg", "kid", "public", "sign")

    alg: str
    kid: str
    public: VerifyingKey
    sign: Callable[[bytes], bytes]
    """message → its signature."""

    def __init__(self, scheme: Scheme[Any, Any], key: object, *, kid: str | None = None) -> None:
        self._scheme = scheme
        self._key = scheme.accept_private(key)
        self.public = VerifyingKey(scheme, scheme.public_of(self._key), kid=kid)
        self.alg = scheme.name
        self.kid = self.public.kid
        self.sign = scheme.signer(self._key)

    @classmethod
    def generate(cls, alg: str, *, kid: str | None = None) -> Self:
        """Generates a key. ``alg`` is a name from the table in `ostiary.jose.algorithms`, such as ``ES256``."""
        scheme = scheme_named(alg)
        return cls(scheme, scheme.generate(), kid=kid)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any], *, alg: str | None = None) -> Self:
        """Reads a private JWK. Raises KeyRejected, also if its public part does not match its private part."""
        jwks.check_use(jwk, "sign")
        scheme = jwks.scheme_of(jwk, alg)
        return cls(scheme, scheme.read_private(jwk), kid=jwks.kid_of(jwk))

    @classmethod
    def from_pem(cls, pem: bytes, *, alg: str, kid: str | None = None, password: bytes | None = None) -> Self:
        """Reads a private key in PEM form. Pass ``password`` if it is encrypted. Raises KeyRejected otherwise."""
        return cls(scheme_named(alg), read_private(pem, password), kid=kid)

    def to_jwk(self) -> dict[str, str]:
        """The private JWK, which contains the secret. Encrypt it before you store it."""
        return {**self.public.to_jwk(), **self._scheme.write_private(self._key)}

    def __repr__(self) -> str:
        return f"SigningKey(alg={self.alg!r}, kid={self.kid!r})"
