"""RS256, RS384, RS512 (RFC 7518 §3.3) and PS256, PS384, PS512 (§3.5). Each has one hash and one padding."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
from msgspec import Struct

from ostiary.errors import KeyRejected
from ostiary.jose import members
from ostiary.jose.algorithms.scheme import Matches, Sign

GENERATED_BITS: Final = 3072  # ASVS 5.0 11.2.3: 128 bits of strength
LEAST_BITS: Final = 2048  # RFC 7518 §3.3
MOST_BITS: Final = 8192  # with a 16384-bit key, each verification takes so long that it is a denial of service
EXPONENT: Final = 65537
MOST_EXPONENT_BYTES: Final = 4

PrivateKey = rsa.RSAPrivateKey
PublicKey = rsa.RSAPublicKey


def pkcs1(_hash: hashes.HashAlgorithm) -> AsymmetricPadding:
    return padding.PKCS1v15()


def pss(hash_algorithm: hashes.HashAlgorithm) -> AsymmetricPadding:
    """RFC 7518 §3.5: MGF1 with the same hash, and a salt of exactly the length of the hash."""
    return padding.PSS(mgf=padding.MGF1(hash_algorithm), salt_length=hash_algorithm.digest_size)


class Rsa(Struct, frozen=True):
    name: str
    hash: hashes.HashAlgorithm
    padding: Callable[[hashes.HashAlgorithm], AsymmetricPadding]
    kty: str = "RSA"

    @property
    def spellings(self) -> frozenset[str]:
        return frozenset({self.name})

    def generate(self) -> PrivateKey:
        return rsa.generate_private_key(public_exponent=EXPONENT, key_size=GENERATED_BITS)

    def accept_private(self, key: object) -> PrivateKey:
        if not isinstance(key, PrivateKey):
            raise KeyRejected(f"{self.name} needs an RSA private key")
        return key

    def accept_public(self, key: object) -> PublicKey:
        if not isinstance(key, PublicKey):
            raise KeyRejected(f"{self.name} needs an RSA public key")
        numbers = key.public_numbers()
        _check_numbers(numbers.n, numbers.e)
        return key

    def read_private(self, jwk: Mapping[str, Any]) -> PrivateKey:
        if "oth" in jwk:
            raise KeyRejected("RSA keys with more than two primes are not accepted")
        d, p, q, dp, dq, qi = (
            members.natural(jwk, name, most=MOST_BITS // 8) for name in ("d", "p", "q", "dp", "dq", "qi")
        )
        public = self.read_public(jwk).public_numbers()
        try:  # checks that the numbers are consistent
            return rsa.RSAPrivateNumbers(p=p, q=q, d=d, dmp1=dp, dmq1=dq, iqmp=qi, public_numbers=public).private_key()
        except ValueError:
            raise KeyRejected("the JWK's RSA numbers are inconsistent") from None

    def read_public(self, jwk: Mapping[str, Any]) -> PublicKey:
        n = members.natural(jwk, "n", most=MOST_BITS // 8, may_have_sign=True)
        e = members.natural(jwk, "e", most=MOST_EXPONENT_BYTES)
        _check_numbers(n, e)
        try:
            return rsa.RSAPublicNumbers(e=e, n=n).public_key()
        except ValueError:
            raise KeyRejected("the JWK's RSA numbers are not a public key") from None

    def write_private(self, key: PrivateKey) -> dict[str, str]:
        numbers = key.private_numbers()
        values = {
            "d": numbers.d,
            "p": numbers.p,
            "q": numbers.q,
            "dp": numbers.dmp1,
            "dq": numbers.dmq1,
            "qi": numbers.iqmp,
        }
        return {name: members.written_natural(value) for name, value in values.items()}

    def write_public(self, key: PublicKey) -> dict[str, str]:
        numbers = key.public_numbers()
        return {"e": members.written_natural(numbers.e), "kty": self.kty, "n": members.written_natural(numbers.n)}

    def public_of(self, key: PrivateKey) -> PublicKey:
        return key.public_key()

    def signer(self, key: PrivateKey) -> Sign:
        scheme, hash_algorithm = self.padding(self.hash), self.hash
        return lambda message: key.sign(message, scheme, hash_algorithm)

    def matcher(self, key: PublicKey) -> Matches:
        scheme, hash_algorithm, verify = self.padding(self.hash), self.hash, key.verify
        size = (key.key_size + 7) // 8  # k of RFC 8017 §8.1.2 and §8.2.2

        def matches(signature: bytes, message: bytes) -> bool:
            if len(signature) != size:  # OpenSSL accepts a PSS signature without its leading zeros
                return False
            try:
                verify(signature, message, scheme, hash_algorithm)
            except InvalidSignature:
                return False
            return True

        return matches


def _check_numbers(n: int, e: int) -> None:
    if not LEAST_BITS <= n.bit_length() <= MOST_BITS:
        raise KeyRejected(f"RSA keys must have {LEAST_BITS} to {MOST_BITS} bits, not {n.bit_length()}")
    if e < 3 or e % 2 == 0 or e.bit_length() > MOST_EXPONENT_BYTES * 8:
        raise KeyRejected("the RSA exponent must be odd, at least 3 and at most 32 bits long")
    if n % 2 == 0:
        raise KeyRejected("the RSA modulus must not be even")
    if _has_roca_fingerprint(n):
        raise KeyRejected("the RSA key has the ROCA weakness (CVE-2017-15361): generate a new key with other software")


_ROCA_GENERATOR: Final = 65537
_ROCA_PRIMES: Final = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)


def _has_roca_fingerprint(n: int) -> bool:
    """Both primes of a ROCA key are powers of 65537 modulo many small primes, and so is their product."""
    return all(n % prime in _powers(prime) for prime in _ROCA_PRIMES)


@functools.cache
def _powers(prime: int) -> frozenset[int]:
    return frozenset(pow(_ROCA_GENERATOR, exponent, prime) for exponent in range(prime))
