"""ES256, ES384 and ES512 (RFC 7518 §3.4). Each has its own curve. A signature is two numbers of fixed size.

OpenSSL derives the nonce of a signature from the key, the message and random bytes together. A bad source of randomness
alone therefore does not reveal the key (RFC 8725bis §3.2).
"""

from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from msgspec import Struct

from ostiary.errors import KeyRejected
from ostiary.jose import members
from ostiary.jose.algorithms.scheme import Matches, Sign

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey


class Ecdsa(Struct, frozen=True):
    name: str
    crv: str
    curve: ec.EllipticCurve
    hash: hashes.HashAlgorithm
    kty: str = "EC"

    @property
    def spellings(self) -> frozenset[str]:
        return frozenset({self.name})

    @property
    def size(self) -> int:
        """The number of bytes in a coordinate, and in each half of a signature."""
        return (self.curve.key_size + 7) // 8

    def generate(self) -> PrivateKey:
        return ec.generate_private_key(self.curve)

    def accept_private(self, key: object) -> PrivateKey:
        if not isinstance(key, PrivateKey) or key.curve.name != self.curve.name:
            raise KeyRejected(f"{self.name} needs a private key on the curve {self.crv}")
        return key

    def accept_public(self, key: object) -> PublicKey:
        if not isinstance(key, PublicKey) or key.curve.name != self.curve.name:
            raise KeyRejected(f"{self.name} needs a public key on the curve {self.crv}")
        return key

    def read_private(self, jwk: Mapping[str, Any]) -> PrivateKey:
        scalar = int.from_bytes(members.octets(jwk, "d", size=self.size), "big")
        try:
            key = ec.derive_private_key(scalar, self.curve)
        except ValueError:
            raise KeyRejected("the JWK's private number is out of range") from None
        if key.public_key().public_numbers() != self.read_public(jwk).public_numbers():
            raise KeyRejected("the JWK's public point does not match its private number")
        return key

    def read_public(self, jwk: Mapping[str, Any]) -> PublicKey:
        if members.text(jwk, "crv") != self.crv:
            raise KeyRejected(f"{self.name} needs a key on the curve {self.crv}")
        x = int.from_bytes(members.octets(jwk, "x", size=self.size), "big")
        y = int.from_bytes(members.octets(jwk, "y", size=self.size), "big")
        try:
            return ec.EllipticCurvePublicNumbers(x, y, self.curve).public_key()
        except ValueError:  # invalid-curve attack: a point that is not on the curve can reveal or bypass the key
            raise KeyRejected(f"the JWK's point is not on the curve {self.crv}") from None

    def write_private(self, key: PrivateKey) -> dict[str, str]:
        return {"d": members.written(key.private_numbers().private_value.to_bytes(self.size, "big"))}

    def write_public(self, key: PublicKey) -> dict[str, str]:
        point = key.public_numbers()
        return {
            "crv": self.crv,
            "kty": self.kty,
            "x": members.written(point.x.to_bytes(self.size, "big")),
            "y": members.written(point.y.to_bytes(self.size, "big")),
        }

    def public_of(self, key: PrivateKey) -> PublicKey:
        return key.public_key()

    def signer(self, key: PrivateKey) -> Sign:
        size, scheme = self.size, ec.ECDSA(self.hash)

        def sign(message: bytes) -> bytes:
            r, s = decode_dss_signature(key.sign(message, scheme))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")

        return sign

    def matcher(self, key: PublicKey) -> Matches:
        size, scheme, verify = self.size, ec.ECDSA(self.hash), key.verify

        def matches(signature: bytes, message: bytes) -> bool:
            if len(signature) != 2 * size:  # DER, or zeros were removed or added
                return False
            try:
                verify(_der(signature[:size], signature[size:]), message, scheme)
            except InvalidSignature:
                return False
            return True

        return matches


def _der(r: bytes, s: bytes) -> bytes:
    """The SEQUENCE of two INTEGERs that OpenSSL reads (RFC 3279 §2.2.3). Takes a third of the library's own time."""
    if not 0 < r[0] < 128:
        r = _der_digits(r)
    if not 0 < s[0] < 128:
        s = _der_digits(s)
    size_r, size_s = len(r), len(s)
    size = size_r + size_s + 4
    # X.690 §8.1.3: the long form from 128 bytes on; even P-521 needs fewer than 256
    start = b"\x30%c" if size < 128 else b"\x30\x81%c"
    return (start + b"\x02%c%b\x02%c%b") % (size, size_r, r, size_s, s)


def _der_digits(half: bytes) -> bytes:
    """The content of an INTEGER, which is never empty, has no needless zeros, and begins with the sign (X.690 §8.3)."""
    digits = half.lstrip(b"\0")
    return b"\0" + digits if not digits or digits[0] > 127 else digits
