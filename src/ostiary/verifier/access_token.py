"""The claims of an access token (RFC 9068 §2.2), as one immutable value."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from ostiary.errors import ClaimRejected, MalformedToken
from ostiary.jose import strict_json

ACCESS_TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - RFC 9068 §2.1

_MAX_ID: Final = 256  # characters; ids become keys of tables and parts of log lines
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z

Identifier: TypeAlias = Annotated[str, Meta(min_length=1, max_length=_MAX_ID)]

Seconds: TypeAlias = Annotated[int, Meta(ge=0, le=_LAST_SECOND)]
"""A NumericDate. RFC 7519 §2 allows fractions; we write none and refuse them, as well as true, texts and null: each of
them has passed for a number somewhere and outlived every comparison."""


class Confirmation(Struct, frozen=True, forbid_unknown_fields=True):
    """The key that the token is bound to (RFC 9449 §6.1). A method that we do not know cannot be checked: refused."""

    jkt: Identifier


class StatusListEntry(Struct, frozen=True):
    """Where the token's bit stands in a Token Status List."""

    idx: Annotated[int, Meta(ge=0)]
    uri: str


class Status(Struct, frozen=True):
    status_list: StatusListEntry


class AccessToken(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What an access token says. Immutable to the leaves: it is shared between requests and threads.

    The fields stand in the order in which they are written: only then can they be read the fast way.
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

    @property
    def extra(self) -> Mapping[str, Any]:
        """The claims beyond these, read-only."""
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
    """The payload to sign. ``extra`` are further claims, of JSON values.

    Raises:
        ValueError: an extra claim has the name of one of `AccessToken`.
    """
    if not _NAMES.isdisjoint(extra):
        raise ValueError("an extra claim has the name of a claim that Ostiary sets")
    return strict_json.dumps({**msgspec.to_builtins(token), **extra} if extra else token)


def decode_access_token(payload: bytes) -> AccessToken:
    """The claims in a payload whose signature was verified. Judges their types only, not what they say.

    Raises:
        MalformedToken: not a strict JSON object.
        ClaimRejected: a claim is missing or of the wrong type.
    """
    return _canonical(payload) or _decode_strictly(payload)


_BACKSLASH, _DELETE = b"\\\x7f"


def _canonical(payload: bytes) -> AccessToken | None:
    """The claims, if the payload is exactly how we write them, so that no name comes twice, and is ASCII without an
    escape, so that no claim has a character that cannot be printed."""
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
    if any(value is None for value in known.values()):
        raise ClaimRejected("a claim is null")
    try:
        token = msgspec.convert(known, AccessToken)
    except msgspec.ValidationError:
        raise ClaimRejected("a claim is missing or has the wrong type") from None
    # an id becomes part of log lines: nothing in it may end a line or move a cursor
    if not f"{token.sub}{token.client_id}{token.sid}{token.jti}".isprintable():
        raise ClaimRejected("an id has characters that cannot be printed")
    return _ExtendedAccessToken(**msgspec.structs.asdict(token), further=frozen(further)) if further else token


def frozen(value: Any) -> Any:
    """A JSON value that nobody can change: read-only mappings, tuples."""
    if isinstance(value, dict):
        return MappingProxyType({name: frozen(member) for name, member in value.items()})
    return tuple(map(frozen, value)) if isinstance(value, list) else value
