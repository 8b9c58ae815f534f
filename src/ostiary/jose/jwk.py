"""The common parts of all JSON Web Keys (RFC 7517 §4): algorithm, permitted use and key id."""

from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives import hashes

from ostiary.errors import KeyRejected
from ostiary.jose import base64url, members, strict_json
from ostiary.jose.algorithms import scheme_named
from ostiary.jose.algorithms.scheme import Scheme

MAX_KID: Final = 256  # characters; a longer one is assumed to be an attack
PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "priv", "k"})

_KEY_TYPES: Final = frozenset({"RSA", "EC", "OKP", "AKP", "oct"})
_BY_CURVE: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "Ed25519"}


def scheme_of(jwk: Mapping[str, Any], alg: str | None) -> Scheme[Any, Any]:
    """The only algorithm that the key may be used with.

    It is ``alg`` if given, else the JWK's own algorithm, else the only one for its curve.

    Raises:
        KeyRejected: the algorithms disagree, none is named although the key type has several, or the key is of another
            type.
    """
    own = members.text(jwk, "alg") if "alg" in jwk else None
    named = alg or own or _of_curve(jwk)
    scheme = scheme_named(named)
    if own is not None and own not in scheme.spellings:
        raise KeyRejected(f"the JWK is for another algorithm than {scheme.name}: pass the alg that it names")
    if members.text(jwk, "kty") != scheme.kty:
        raise KeyRejected(f"{scheme.name} needs a key of type {scheme.kty}")
    return scheme


def _of_curve(jwk: Mapping[str, Any]) -> str:
    if members.text(jwk, "kty") not in _KEY_TYPES:
        raise KeyRejected("the JWK has an unknown kty")
    curve = jwk.get("crv")
    if not isinstance(curve, str) or curve not in _BY_CURVE:
        raise KeyRejected("the JWK does not name an algorithm: pass alg=…")
    return _BY_CURVE[curve]


def check_use(jwk: Mapping[str, Any], operation: str) -> None:
    """Raises KeyRejected where ``use`` or ``key_ops`` do not permit ``operation`` (RFC 7517 §4.2, §4.3)."""
    if not isinstance(jwk, Mapping):
        raise KeyRejected("not a JWK: it must be a JSON object")
    if "use" in jwk and jwk["use"] != "sig":
        raise KeyRejected("the JWK is not for signatures: its use must be sig")
    if "key_ops" in jwk:
        operations = jwk["key_ops"]
        if not isinstance(operations, list) or operation not in operations:
            raise KeyRejected(f"the JWK does not permit the operation {operation!r}: its key_ops must contain it")


def kid_of(jwk: Mapping[str, Any]) -> str | None:
    return checked_kid(members.text(jwk, "kid")) if "kid" in jwk else None


def checked_kid(kid: str) -> str:
    if not isinstance(kid, str) or not 1 <= len(kid) <= MAX_KID:
        raise KeyRejected(f"the kid must be a string of 1 to {MAX_KID} characters")
    return kid


def thumbprint(required: Mapping[str, str]) -> str:
    """SHA-256 over the required members in the order of their names (RFC 7638 §3), base64url."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(strict_json.dumps(dict(sorted(required.items()))))
    return base64url.encode(digest.finalize()).decode("ascii")
