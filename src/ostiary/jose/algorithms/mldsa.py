"""ML-DSA-44, ML-DSA-65 and ML-DSA-87 (RFC 9964). The private key is stored as its 32-byte seed."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa
from msgspec import Struct

from ostiary.errors import KeyRejected
from ostiary.jose import members
from ostiary.jose.algorithms.scheme import Matches, Sign, matches_by

SEED_BYTES: Final = 32

PrivateKey: TypeAlias = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
PublicKey: TypeAlias = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey


class MlDsa(Struct, frozen=True):
    name: str
    private: type[PrivateKey]
    public: type[PublicKey]
    kty: str = "AKP"

    @property
    def spellings(self) -> frozenset[str]:
        return frozenset({self.name})

    def generate(self) -> PrivateKey:
        try:
            return self.private.generate()
        except UnsupportedAlgorithm:
            raise self._unsupported() from None

    def accept_private(self, key: object) -> PrivateKey:
        if not isinstance(key, self.private):
            raise KeyRejected(f"{self.name} needs an {self.name} private key")
        return key

    def accept_public(self, key: object) -> PublicKey:
        if not isinstance(key, self.public):
            raise KeyRejected(f"{self.name} needs an {self.name} public key")
        return key

    def read_private(self, jwk: Mapping[str, Any]) -> PrivateKey:
        try:
            key = self.private.from_seed_bytes(members.octets(jwk, "priv", size=SEED_BYTES))
        except UnsupportedAlgorithm:
            raise self._unsupported() from None
        if key.public_key().public_bytes_raw() != self.read_public(jwk).public_bytes_raw():
            raise KeyRejected("the JWK's public key does not match its seed")
        return key

    def read_public(self, jwk: Mapping[str, Any]) -> PublicKey:
        try:
            return self.public.from_public_bytes(members.octets(jwk, "pub"))
        except ValueError:
            raise KeyRejected(f"the JWK's public key is not an {self.name} key") from None
        except UnsupportedAlgorithm:
            raise self._unsupported() from None

    def write_private(self, key: PrivateKey) -> dict[str, str]:
        return {"priv": members.written(key.private_bytes_raw())}

    def write_public(self, key: PublicKey) -> dict[str, str]:
        return {"alg": self.name, "kty": self.kty, "pub": members.written(key.public_bytes_raw())}

    def public_of(self, key: PrivateKey) -> PublicKey:
        return key.public_key()

    def signer(self, key: PrivateKey) -> Sign:
        return key.sign

    def matcher(self, key: PublicKey) -> Matches:
        return matches_by(key.verify)

    def _unsupported(self) -> KeyRejected:
        return KeyRejected(f"the installed OpenSSL does not support {self.name}: update it or use another algorithm")
