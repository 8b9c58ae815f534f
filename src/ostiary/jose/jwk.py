"""What all JSON Web Keys have in common (RFC 7517 §4): the one algorithm, the permitted use, the name."""

from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives import hashes

from ostiary.errors import KeyRejected
from ostiary.jose import base64url, members, strict_json
from ostiary.jose.algorithms import scheme_named
from ostiary.jose.algorithms.scheme import Scheme

MAX_KID: Final = 256  # characters; a longer one comes from an attacker
PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "priv", "k"})

_BY_CURVE: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "Ed25519"}


def scheme_of(jwk: Mapping[str, Any], alg: str | None) -> Scheme[Any, Any]:
    """The one algorithm that the key may be used with: the caller's, else its own, else the only one of its curve.

    Raises:
        KeyRejected: they disagree, nobody names one where the key type has several, or the key is of another type.
    """
    own = members.text(jwk, "alg") if "alg" in jwk else None
    named = alg or own or _of_curve(jwk)
    scheme = scheme_named(named)
    if own is not None and own not in scheme.spellings:
        raise KeyRejected(f"the JWK is for another algorithm than {scheme.name}")
    if members.text(jwk, "kty") != scheme.kty:
        raise KeyRejected(f"{scheme.name} needs a key of type {scheme.kty}")
    return scheme


def _of_curve(jwk: Mapping[str, Any]) -> str:
    curve = jwk.get("crv")
    if not isinstance(curve, str) or curve not in _BY_CURVE:
        raise KeyRejected("the JWK names no algorithm: pass alg=…")
    return _BY_CURVE[curve]


def check_use(jwk: Mapping[str, Any], operation: str) -> None:
    """Raises KeyRejected where ``use`` or ``key_ops`` do not permit ``operation`` (RFC 7517 §4.2, §4.3)."""
    if not isinstance(jwk, Mapping):
        raise KeyRejected("not a JWK: it must be a JSON object")
    if "use" in jwk and jwk["use"] != "sig":
        raise KeyRejected("the JWK is not meant for signatures")
    if "key_ops" in jwk:
        operations = jwk["key_ops"]
        if not isinstance(operations, list) or operation not in operations:
            raise KeyRejected(f"the JWK does not permit the operation {operation!r}")


def kid_of(jwk: Mapping[str, Any]) -> str | None:
    return checked_kid(members.text(jwk, "kid")) if "kid" in jwk else None


def checked_kid(kid: str) -> str:
    if not isinstance(kid, str) or not 1 <= len(kid) <= MAX_KID:
        raise KeyRejected(f"a key id is a text of 1 to {MAX_KID} characters")
    return kid


def thumbprint(required: Mapping[str, str]) -> str:
    """SHA-256 over the required members in the order of their names (RFC 7638 §3), base64url."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(strict_json.dumps(dict(sorted(required.items()))))
    return base64url.encode(digest.finalize()).decode("ascii")
