"""The interface that each asymmetric algorithm in the table implements."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

from cryptography.exceptions import InvalidSignature

Sign: TypeAlias = Callable[[bytes], bytes]
"""message → signature, in the format of JWS."""

Matches: TypeAlias = Callable[[bytes, bytes], bool]
"""(signature, message) → whether the key made the signature. Never raises: anything else is False."""


def matches_by(verify: Callable[[bytes, bytes], object]) -> Matches:
    """Turns a ``verify`` of the cryptography library, which raises if the signature is wrong, into a `Matches`."""

    def matches(signature: bytes, message: bytes) -> bool:
        try:
            verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return matches


Private = TypeVar("Private")
Public = TypeVar("Public")


class Scheme(Protocol[Private, Public]):
    """One signature algorithm with all parameters fixed, so that no token header can change them.

    Implementations raise `ostiary.errors.KeyRejected` for every unsuitable key, in whatever form it is passed. They
    never raise an exception of the cryptography library.
    """

    @property
    def name(self) -> str:
        """The ``alg`` value to write."""

    @property
    def spellings(self) -> frozenset[str]:
        """The ``alg`` values that are accepted for this algorithm."""

    @property
    def kty(self) -> str: ...

    def generate(self) -> Private: ...

    def accept_private(self, key: object) -> Private:
        """Returns ``key`` if it is a private key of this algorithm. `accept_public` checks the strength."""

    def accept_public(self, key: object) -> Public:
        """Returns ``key`` if it is a public key of this algorithm and strong enough."""

    def read_private(self, jwk: Mapping[str, Any]) -> Private:
        """Reads the private key and checks that the public members match it."""

    def read_public(self, jwk: Mapping[str, Any]) -> Public: ...

    def write_private(self, key: Private) -> dict[str, str]:
        """The private members only."""

    def write_public(self, key: Public) -> dict[str, str]:
        """Exactly the members that a thumbprint covers (RFC 7638 §3.2)."""

    def public_of(self, key: Private) -> Public: ...

    def signer(self, key: Private) -> Sign: ...

    def matcher(self, key: Public) -> Matches: ...
