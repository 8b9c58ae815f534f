"""What an asymmetric algorithm has to offer to be a row of the table."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

from cryptography.exceptions import InvalidSignature

Sign: TypeAlias = Callable[[bytes], bytes]
"""message → signature, in the form that JWS carries."""

Matches: TypeAlias = Callable[[bytes, bytes], bool]
"""(signature, message) → whether the key made it. False for anything else: it never raises."""


def matches_by(verify: Callable[[bytes, bytes], object]) -> Matches:
    """`Matches` from a ``verify`` of the cryptography library, which raises where it does not."""

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
    """One signature algorithm with all its parameters fixed: nothing about it is left to a header.

    Implementers refuse every unsuitable key with `ostiary.errors.KeyRejected`, whichever way it comes in, and let no
    exception of the cryptography library out.
    """

    @property
    def name(self) -> str:
        """The ``alg`` that is written."""

    @property
    def spellings(self) -> frozenset[str]:
        """The ``alg`` values that mean this algorithm when read."""

    @property
    def kty(self) -> str: ...

    def generate(self) -> Private: ...

    def accept_private(self, key: object) -> Private:
        """``key`` itself, if it is a private key of this algorithm. `accept_public` judges how strong its half is."""

    def accept_public(self, key: object) -> Public:
        """``key`` itself, if it is a public key of this algorithm and strong enough."""

    def read_private(self, jwk: Mapping[str, Any]) -> Private:
        """The private key, after a check that its public members belong to it."""

    def read_public(self, jwk: Mapping[str, Any]) -> Public: ...

    def write_private(self, key: Private) -> dict[str, str]:
        """Only the private members."""

    def write_public(self, key: Public) -> dict[str, str]:
        """Exactly the members that a thumbprint covers (RFC 7638 §3.2)."""

    def public_of(self, key: Private) -> Public: ...

    def signer(self, key: Private) -> Sign: ...

    def matcher(self, key: Public) -> Matches: ...
