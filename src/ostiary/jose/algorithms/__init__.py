"""The complete table of supported signature algorithms. There is no registry and no way to add one at runtime.

Use ``ES256`` (the default) or ``Ed25519``. Use ``RS256`` only if a partner requires it, and prefer ``PS256`` if both
are possible. ``ML-DSA-65`` protects against quantum computers, but makes tokens of 4 KB.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA44PrivateKey,
    MLDSA44PublicKey,
    MLDSA65PrivateKey,
    MLDSA65PublicKey,
    MLDSA87PrivateKey,
    MLDSA87PublicKey,
)

from ostiary.errors import KeyRejected
from ostiary.jose.algorithms.ecdsa import Ecdsa
from ostiary.jose.algorithms.eddsa import EdDsa
from ostiary.jose.algorithms.mldsa import MlDsa
from ostiary.jose.algorithms.rsa import Rsa, pkcs1, pss
from ostiary.jose.algorithms.scheme import Scheme

_SCHEMES: Final[tuple[Scheme[Any, Any], ...]] = (
    Ecdsa("ES256", "P-256", ec.SECP256R1(), hashes.SHA256()),
    Ecdsa("ES384", "P-384", ec.SECP384R1(), hashes.SHA384()),
    Ecdsa("ES512", "P-521", ec.SECP521R1(), hashes.SHA512()),
    EdDsa("Ed25519"),
    EdDsa("EdDSA"),
    Rsa("RS256", hashes.SHA256(), pkcs1),
    Rsa("RS384", hashes.SHA384(), pkcs1),
    Rsa("RS512", hashes.SHA512(), pkcs1),
    Rsa("PS256", hashes.SHA256(), pss),
    Rsa("PS384", hashes.SHA384(), pss),
    Rsa("PS512", hashes.SHA512(), pss),
    MlDsa("ML-DSA-44", MLDSA44PrivateKey, MLDSA44PublicKey),
    MlDsa("ML-DSA-65", MLDSA65PrivateKey, MLDSA65PublicKey),
    MlDsa("ML-DSA-87", MLDSA87PrivateKey, MLDSA87PublicKey),
)

ASYMMETRIC: Final[Mapping[str, Scheme[Any, Any]]] = MappingProxyType({scheme.name: scheme for scheme in _SCHEMES})

SYMMETRIC: Final[Mapping[str, hashes.HashAlgorithm]] = MappingProxyType(
    {"HS256": hashes.SHA256(), "HS384": hashes.SHA384(), "HS512": hashes.SHA512()}  # RFC 7518 §3.2
)


def scheme_named(name: str) -> Scheme[Any, Any]:
    """The asymmetric algorithm with exactly this name. Raises KeyRejected for any other name."""
    scheme = ASYMMETRIC.get(name) if isinstance(name, str) else None
    if scheme is None:
        raise KeyRejected(f"the asymmetric algorithm is not supported: use one of {', '.join(ASYMMETRIC)}")
    return scheme
