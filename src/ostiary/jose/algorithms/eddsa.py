"""Ed25519 (RFC 8037, RFC 9864), under its current name ``Ed25519`` and its old name ``EdDSA``."""

from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from ostiary.errors import KeyRejected
from ostiary.jose import members
from ostiary.jose.algorithms.scheme import Matches, Sign, matches_by

SPELLINGS: Final = frozenset({"Ed25519", "EdDSA"})
CURVE: Final = "Ed25519"
KEY_BYTES: Final = 32

_FIELD: Final = 2**255 - 19
# y of the eight points whose order divides 8. If one of them is the key, one signature is valid for many messages.
_ORDER_8: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_LOW_ORDER: Final = frozenset({0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8})


class EdDsa(Struct, frozen=True):
    name: str
    kty: str = "OKP"

    @property
    def spellings(self) -> frozenset[str]:
        return SPELLINGS

    def generate(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.generate()

    def accept_private(self, key: object) -> Ed25519PrivateKey:
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyRejected(f"{self.name} needs an Ed25519 private key")
        return key

    def accept_public(self, key: object) -> Ed25519PublicKey:
        if not isinstance(key, Ed25519PublicKey):
            raise KeyRejected(f"{self.name} needs an Ed25519 public key")
        _check_point(key.public_bytes_raw())
        return key

    def read_private(self, jwk: Mapping[str, Any]) -> Ed25519PrivateKey:
        key = Ed25519PrivateKey.from_private_bytes(members.octets(jwk, "d", size=KEY_BYTES))
        if key.public_key().public_bytes_raw() != self.read_public(jwk).public_bytes_raw():
            raise KeyRejected("the JWK's public key does not match its private key")
        return key

    def read_public(self, jwk: Mapping[str, Any]) -> Ed25519PublicKey:
        if members.text(jwk, "crv") != CURVE:
            raise KeyRejected(f"{self.name} needs a key on the curve {CURVE}")
        point = members.octets(jwk, "x", size=KEY_BYTES)
        _check_point(point)
        return Ed25519PublicKey.from_public_bytes(point)

    def write_private(self, key: Ed25519PrivateKey) -> dict[str, str]:
        return {"d": members.written(key.private_bytes_raw())}

    def write_public(self, key: Ed25519PublicKey) -> dict[str, str]:
        return {"crv": CURVE, "kty": self.kty, "x": members.written(key.public_bytes_raw())}

    def public_of(self, key: Ed25519PrivateKey) -> Ed25519PublicKey:
        return key.public_key()

    def signer(self, key: Ed25519PrivateKey) -> Sign:
        return key.sign

    def matcher(self, key: Ed25519PublicKey) -> Matches:
        return matches_by(key.verify)


def _check_point(point: bytes) -> None:
    y = int.from_bytes(point, "little") & (2**255 - 1)
    if y >= _FIELD:
        raise KeyRejected("the Ed25519 key is not in canonical form")  # RFC 8032 §5.1.3
    if y in _LOW_ORDER:
        raise KeyRejected("the Ed25519 key is a point of low order")
