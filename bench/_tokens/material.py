"""The keys, claims and tokens that every contender gets."""

import functools
import os
import time
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ostiary.jose import HmacKey, SigningKey, sign
from ostiary.verifier import AAL1, ACCESS_TOKEN_TYPE, AccessToken, encode_access_token

ALGORITHMS: Final = ("HS256", "ES256", "EdDSA", "RS256", "PS256", "ML-DSA-44")
RSA_BITS: Final = 2048
ISSUER: Final = "https://auth.example.com"
NOW: Final = int(time.time())  # noqa: TID251 - the contenders read the clock themselves
LIFETIME: Final = 3600
SECRET: Final = os.urandom(32)


@functools.cache
def private_key(algorithm: str) -> Any:
    """Returns the key as an object of the cryptography library. For HS256 it is the secret."""
    match algorithm:
        case "HS256":
            return SECRET
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "ML-DSA-44":
            return mldsa.MLDSA44PrivateKey.generate()
        case _:
            return _rsa_key()


@functools.cache
def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, RSA_BITS)


def public_key(algorithm: str) -> Any:
    key = private_key(algorithm)
    return key if isinstance(key, bytes) else key.public_key()


def private_pem(algorithm: str) -> bytes:
    return private_key(algorithm).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(algorithm: str) -> bytes:
    return public_key(algorithm).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@functools.cache
def our_key(algorithm: str) -> SigningKey | HmacKey:
    if algorithm == "HS256":
        return HmacKey(SECRET, algorithm)
    return SigningKey.from_pem(private_pem(algorithm), alg=algorithm)


def our_public_key(algorithm: str) -> Any:
    key = our_key(algorithm)
    return key if isinstance(key, HmacKey) else key.public


CLAIMS: Final = AccessToken(
    iss=ISSUER, sub="acc_8FzJ4wq1mBd2", aud=ISSUER, exp=NOW + LIFETIME, iat=NOW, jti="", client_id="client_first_party",
    sid="ses_Yk3nT0xVb5Lr", ver=3, roles=("user", "editor"), scope="", auth_time=NOW, acr=AAL1, amr=("pwd",),
)  # fmt: skip


def many_claims(count: int, **changes: Any) -> list[AccessToken]:
    return [msgspec.structs.replace(CLAIMS, jti=f"{number:032x}", **changes) for number in range(count)]


def issue(claims: AccessToken, key: SigningKey | HmacKey) -> str:
    return sign(encode_access_token(claims), key, typ=ACCESS_TOKEN_TYPE)


def bad_tokens(algorithm: str) -> list[str]:
    """Returns tokens that every contender must refuse: expired, wrong issuer, wrong audience, invalid signature."""
    changes = ({"exp": NOW - 2 * LIFETIME, "iat": NOW - 3 * LIFETIME}, {"iss": "https://x"}, {"aud": "https://x"})
    bad = [issue(msgspec.structs.replace(CLAIMS, jti="1", **change), our_key(algorithm)) for change in changes]
    good = issue(msgspec.structs.replace(CLAIMS, jti="1"), our_key(algorithm))
    return [*bad, good[:-8] + ("A" * 8 if good[-8:] != "A" * 8 else "B" * 8)]


def fresh(tokens: list[str]) -> list[str]:
    """Returns new string objects without a cached hash, like tokens that arrive over the network."""
    return [token.encode().decode() for token in tokens]
