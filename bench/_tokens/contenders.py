"""How each library signs claims and verifies a token.

Keys are loaded in advance. The signature, exp, iss and aud are checked. A contender that does not support an algorithm
is left out of its row.
"""

import warnings
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import jose.backends  # python-jose
import jose.jwt
import joserfc.jwk
import joserfc.jwt
import jwcrypto.jwk
import jwcrypto.jwt
import jwt
import msgspec
from _tokens.material import ISSUER, SECRET, private_key, private_pem, public_key, public_pem
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.hmac import HMAC

from ostiary.jose import base64url

with warnings.catch_warnings(record=True):  # Authlib announces its successor joserfc, which is also measured
    import authlib.jose

REQUIRED: Final = {"iss": {"essential": True, "value": ISSUER}, "aud": {"essential": True, "value": ISSUER}}
TYPE: Final = "at+jwt"
SHA256: Final = hashes.SHA256()


class Contender(NamedTuple):
    sign: Callable[[dict[str, Any]], object]
    verify: Callable[[str], object]


def pyjwt(algorithm: str) -> Contender:
    private, public, headers = private_key(algorithm), public_key(algorithm), {"typ": TYPE}
    options = {"require": ["exp", "iss", "aud"]}
    return Contender(
        lambda claims: jwt.encode(claims, private, algorithm, headers),
        lambda token: jwt.decode(token, public, [algorithm], issuer=ISSUER, audience=ISSUER, options=options),
    )


def joserfc_(algorithm: str) -> Contender:
    private, public = _joserfc_key(algorithm, private=True), _joserfc_key(algorithm, private=False)
    registry = joserfc.jwt.JWTClaimsRegistry(**REQUIRED, exp={"essential": True})
    header = {"alg": algorithm, "typ": TYPE}
    return Contender(
        lambda claims: joserfc.jwt.encode(header, claims, private, [algorithm]),
        lambda token: registry.validate(joserfc.jwt.decode(token, public, [algorithm]).claims),
    )


def _joserfc_key(algorithm: str, *, private: bool) -> Any:
    if algorithm == "HS256":
        return joserfc.jwk.OctKey.import_key(SECRET)
    kind = {"ES256": joserfc.jwk.ECKey, "EdDSA": joserfc.jwk.OKPKey}.get(algorithm, joserfc.jwk.RSAKey)
    return kind.import_key(private_pem(algorithm) if private else public_pem(algorithm))


def authlib_(algorithm: str) -> Contender:
    tool, header = authlib.jose.JsonWebToken([algorithm]), {"alg": algorithm, "typ": TYPE}
    private, public = _authlib_key(algorithm, private=True), _authlib_key(algorithm, private=False)
    required = {**REQUIRED, "exp": {"essential": True}}
    return Contender(
        lambda claims: tool.encode(header, claims, private),
        lambda token: tool.decode(token, public, claims_options=required).validate(),
    )


def _authlib_key(algorithm: str, *, private: bool) -> Any:
    if algorithm == "HS256":
        return authlib.jose.OctKey.import_key(SECRET)
    kind = {"ES256": authlib.jose.ECKey, "EdDSA": authlib.jose.OKPKey}.get(algorithm, authlib.jose.RSAKey)
    return kind.import_key(private_pem(algorithm) if private else public_pem(algorithm))


def python_jose(algorithm: str) -> Contender:
    hmac = algorithm == "HS256"
    kind = {"HS256": jose.backends.HMACKey, "ES256": jose.backends.ECKey}.get(algorithm, jose.backends.RSAKey)
    private = kind(SECRET if hmac else private_pem(algorithm), algorithm)
    public = kind(SECRET if hmac else public_pem(algorithm), algorithm)
    options = {"require_exp": True, "require_iss": True, "require_aud": True}
    return Contender(
        lambda claims: jose.jwt.encode(claims, private, algorithm, {"typ": TYPE}),
        lambda token: jose.jwt.decode(token, public, [algorithm], options, audience=ISSUER, issuer=ISSUER),
    )


def jwcrypto_(algorithm: str) -> Contender:
    private = _jwcrypto_key(algorithm, private=True)
    public = _jwcrypto_key(algorithm, private=False)
    header, required = {"alg": algorithm, "typ": TYPE}, {"iss": ISSUER, "aud": ISSUER, "exp": None}

    def sign(claims: dict[str, Any]) -> str:
        token = jwcrypto.jwt.JWT(header, claims, algs=[algorithm])
        token.make_signed_token(private)
        return token.serialize()

    def verify(token: str) -> object:
        return jwcrypto.jwt.JWT(jwt=token, key=public, algs=[algorithm], check_claims=required, expected_type="JWS")

    return Contender(sign, verify)


def _jwcrypto_key(algorithm: str, *, private: bool) -> Any:
    if algorithm == "HS256":
        return jwcrypto.jwk.JWK(kty="oct", k=base64url.encode(SECRET).decode())
    return jwcrypto.jwk.JWK.from_pem(private_pem(algorithm) if private else public_pem(algorithm))


_EVERYWHERE: Final = ("HS256", "ES256", "EdDSA", "RS256", "PS256")

LIBRARIES: Final[dict[str, tuple[Callable[[str], Contender], tuple[str, ...]]]] = {
    "PyJWT": (pyjwt, _EVERYWHERE),
    "joserfc": (joserfc_, _EVERYWHERE),
    "Authlib": (authlib_, _EVERYWHERE),
    "python-jose": (python_jose, ("HS256", "ES256", "RS256")),
    "jwcrypto": (jwcrypto_, _EVERYWHERE),
}


def libraries(algorithm: str) -> dict[str, Contender]:
    """Returns the libraries that support ``algorithm``."""
    return {name: make(algorithm) for name, (make, known) in LIBRARIES.items() if algorithm in known}


class Primitive(NamedTuple):
    """The cryptography library alone. No token library that uses it can be faster."""

    sign: Callable[[bytes], object]
    verify: Callable[[tuple[bytes, bytes]], object]
    """(signature, message)"""


def primitive(algorithm: str) -> Primitive:
    private, public = private_key(algorithm), public_key(algorithm)
    if algorithm == "HS256":
        return Primitive(_hmac, lambda pair: _check_hmac(*pair))
    extra = _parameters(algorithm)
    return Primitive(lambda message: private.sign(message, *extra), lambda pair: public.verify(*pair, *extra))


def _parameters(algorithm: str) -> tuple[Any, ...]:
    match algorithm:
        case "ES256":
            return (ec.ECDSA(SHA256),)
        case "RS256":
            return (padding.PKCS1v15(), SHA256)
        case "PS256":
            return (padding.PSS(padding.MGF1(SHA256), SHA256.digest_size), SHA256)
        case _:
            return ()


def _hmac(message: bytes) -> bytes:
    mac = HMAC(SECRET, SHA256)
    mac.update(message)
    return mac.finalize()


def _check_hmac(signature: bytes, message: bytes) -> None:
    mac = HMAC(SECRET, SHA256)
    mac.update(message)
    mac.verify(signature)


def split(token: str, algorithm: str) -> tuple[bytes, bytes]:
    """Returns (signature, message) in the form that the primitive takes. For ES256 the signature is DER."""
    message, _, segment = token.encode().rpartition(b".")
    signature = base64url.decode(segment)
    if algorithm == "ES256":
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        signature = utils.encode_dss_signature(r, s)
    return signature, message


def as_dict(claims: msgspec.Struct) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in _members(claims)}


def _members(claims: msgspec.Struct) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in msgspec.structs.asdict(claims).items() if value is not None]
