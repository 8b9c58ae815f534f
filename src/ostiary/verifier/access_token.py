"""The claims of an access token (RFC 9068 §2.2) as one immutable value."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from ostiary.errors import MalformedToken
from ostiary.jose import strict_json
from ostiary.verifier.claims import check_not_null, check_printable, convert_claims

ACCESS_TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - RFC 9068 §2.1

_MAX_ID: Final = 256  # characters; ids are used as table keys and in log lines
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z

Identifier: TypeAlias = Annotated[str, Meta(min_length=1, max_length=_MAX_ID)]

Seconds: TypeAlias = Annotated[int, Meta(ge=0, le=_LAST_SECOND)]
"""A NumericDate in whole seconds. RFC 7519 §2 allows fractions, but our own tokens never have one.

True, strings and null are refused as well. Each of them has been accepted as a number somewhere, and a token with it
never expired.
"""


class Confirmation(Struct, frozen=True, forbid_unknown_fields=True):
    """The key that the token is bound to (RFC 9449 §6.1). Other methods are refused because we cannot check them."""

    jkt: Identifier


class StatusListEntry(Struct, frozen=True):
    """The place of the token's bit in a Token Status List."""

    idx: Annotated[int, Meta(ge=0)]
    uri: str


class Status(Struct, frozen=True):
    status_list: StatusListEntry


class AccessToken(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The claims of an access token. Deeply immutable, because requests and threads share it.

    The fields are in the order in which they are written. The fast path for reading depends on this order.
    """

    iss: Identifier
    sub: Identifier
    aud: Identifier | Annotated[tuple[Identifier, ...], Meta(min_length=1)]
    exp: Seconds
    iat: Seconds
    jti: Identifier
    client_id: Identifier
    sid: Identifier
    ver: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    """The account's epoch when the token was issued."""
    roles: tuple[str, ...]
    scope: str
    auth_time: Seconds
    acr: str
    amr: tuple[str, ...]
    nbf: Seconds | None = None
    status: Status | None = None
    cnf: Confirmation | None = None
    email: str | None = None
    """The account's verified address, only in tokens for the issuer's own audience."""

    @property
    def extra(self) -> Mapping[str, Any]:
        """All other claims, read-only."""
        return _NOTHING


class _ExtendedAccessToken(AccessToken, frozen=True, kw_only=True, gc=False):
    further: Mapping[str, Any]

    @property
    def extra(self) -> Mapping[str, Any]:
        return self.further


_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_NAMES: Final = frozenset(AccessToken.__struct_fields__)
_read: Final = msgspec.json.Decoder(AccessToken).decode


def encode_access_token(token: AccessToken, *, extra: Mapping[str, Any] = _NOTHING) -> bytes:
    """The payload to sign. ``extra`` holds additional claims with JSON values.

    Raises:
        ValueError: an extra claim has the same name as a claim of `AccessToken`.
    """
    if taken := _NAMES.intersection(extra):
        raise ValueError(f"{min(taken)}: the extra claim has the name of a claim that Ostiary sets: rename it")
    return strict_json.dumps({**msgspec.to_builtins(token), **extra} if extra else token)


def decode_access_token(payload: bytes) -> AccessToken:
    """Reads the claims from a payload whose signature was verified. Checks only their types, not their meaning.

    Raises:
        MalformedToken: the payload is not a strict JSON object.
        ClaimRejected: a claim is missing or has the wrong type.
    """
    return _canonical(payload) or _decode_strictly(payload)


_BACKSLASH, _DELETE = b"\\\x7f"


def _canonical(payload: bytes) -> AccessToken | None:
    """The fast path: the claims if the payload has exactly the bytes that we would write, else None.

    No name can then occur twice. The payload must also be ASCII without escapes, so that no claim has a character that
    cannot be printed.
    """
    if _BACKSLASH in payload or _DELETE in payload or not payload.isascii():
        return None
    try:
        token = _read(payload)
        return token if strict_json.dumps(token) == payload else None
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _decode_strictly(payload: bytes) -> AccessToken:
    try:
        claims = strict_json.loads_object(payload)
    except ValueError:
        raise MalformedToken("the payload is not a strict JSON object") from None
    known = {name: value for name, value in claims.items() if name in _NAMES}
    further = {name: value for name, value in claims.items() if name not in _NAMES}
    check_not_null(known)
    token = convert_claims(known, AccessToken)
    check_printable(sub=token.sub, client_id=token.client_id, sid=token.sid, jti=token.jti)
    return _ExtendedAccessToken(**msgspec.structs.asdict(token), further=frozen(further)) if further else token


def frozen(value: Any) -> Any:
    """An immutable copy of a JSON value, made of read-only mappings and tuples."""
    if isinstance(value, dict):
        return MappingProxyType({name: frozen(member) for name, member in value.items()})
    return tuple(map(frozen, value)) if isinstance(value, list) else value
