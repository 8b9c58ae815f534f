"""Typed keys for asymmetric algorithms. A key has exactly one algorithm, fixed when it is made; no header changes it.

Keys are immutable and may be used from many threads. Their text form shows no secret.
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
    """A public key. Make one with `from_jwk` or `from_pem`, or take `SigningKey.public`."""

    __slots__ = ("_members", "alg", "kid", "matches", "spellings", "thumbprint")

    alg: str
    kid: str
    matches: Callable[[bytes, bytes], bool]
    """Whether a signature (the first) belongs to a message."""
    spellings: frozenset[str]
    """The names under which a header may state the algorithm."""
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
        """Reads a public JWK. ``alg`` is needed where the JWK neither names an algorithm nor has a curve with only one.

        Raises:
            KeyRejected: private members, another use or algorithm, a weak, malformed or inconsistent key.
        """
        jwks.check_use(jwk, "verify")
        if not jwks.PRIVATE_MEMBERS.isdisjoint(jwk):
            raise KeyRejected("the JWK holds private members: it must not be passed around as a public key")
        scheme = jwks.scheme_of(jwk, alg)
        return cls(scheme, scheme.read_public(jwk), kid=jwks.kid_of(jwk))

    @classmethod
    def from_pem(cls, pem: bytes, *, alg: str, kid: str | None = None) -> Self:
        """Reads ``-----BEGIN PUBLIC KEY-----``. Raises KeyRejected for anything else, private keys too."""
        return cls(scheme_named(alg), read_public(pem), kid=kid)

    def to_jwk(self) -> dict[str, str]:
        """The public JWK with ``kid``, ``alg`` and ``use``, ready for a JWK Set."""
        return {**self._members, "alg": self.alg, "kid": self.kid, "use": "sig"}

    def __repr__(self) -> str:
        return f"VerifyingKey(alg={self.alg!r}, kid={self.kid!r})"


@final
class SigningKey:
    """A private key with its public one. Make one with `generate`, `from_jwk` or `from_pem`."""

    __slots__ = ("_key", "_scheme", "alg", "kid", "public", "sign")

    alg: str
    kid: str
    public: VerifyingKey
    sign: Callable[[bytes], bytes]
    """The signature of a message."""

    def __init__(self, scheme: Scheme[Any, Any], key: object, *, kid: str | None = None) -> None:
        self._scheme = scheme
        self._key = scheme.accept_private(key)
        self.public = VerifyingKey(scheme, scheme.public_of(self._key), kid=kid)
        self.alg = scheme.name
        self.kid = self.public.kid
        self.sign = scheme.signer(self._key)

    @classmethod
    def generate(cls, alg: str, *, kid: str | None = None) -> Self:
        """A new key. ``alg`` is a name of the table in `ostiary.jose.algorithms`, such as ``ES256``."""
        scheme = scheme_named(alg)
        return cls(scheme, scheme.generate(), kid=kid)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any], *, alg: str | None = None) -> Self:
        """Reads a private JWK. Raises KeyRejected also where its public part does not belong to it."""
        jwks.check_use(jwk, "sign")
        scheme = jwks.scheme_of(jwk, alg)
        return cls(scheme, scheme.read_private(jwk), kid=jwks.kid_of(jwk))

    @classmethod
    def from_pem(cls, pem: bytes, *, alg: str, kid: str | None = None, password: bytes | None = None) -> Self:
        """Reads a private key in PEM form, encrypted if ``password`` is given. Raises KeyRejected for anything else."""
        return cls(scheme_named(alg), read_private(pem, password), kid=kid)

    def to_jwk(self) -> dict[str, str]:
        """The private JWK. It is the secret itself: encrypt it before it is stored."""
        return {**self.public.to_jwk(), **self._scheme.write_private(self._key)}

    def __repr__(self) -> str:
        return f"SigningKey(alg={self.alg!r}, kid={self.kid!r})"
