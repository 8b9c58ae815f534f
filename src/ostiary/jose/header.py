"""The protected header of a compact JWS, read strictly (RFC 7515 §4, RFC 8725bis §3.1, §3.11)."""

import functools
from typing import Any, Final

from msgspec import Struct

from ostiary.errors import MalformedToken
from ostiary.jose import base64url, strict_json
from ostiary.jose.jwk import MAX_KID

MAX_SEGMENT: Final = 4096  # characters
MAX_TYP: Final = 128  # characters

# What would change how the token is read, or bring its own key: we understand none of it, and trust no such key.
_REFUSED: Final = frozenset({"crit", "b64", "jwk", "jku", "x5c", "x5u", "zip", "enc"})


class Header(Struct, frozen=True):
    """What counts of a header. ``typ`` is the full media type in lower case, such as ``application/at+jwt``."""

    alg: str
    kid: str | None
    typ: str | None


@functools.lru_cache(maxsize=64)
def media_type(typ: str) -> str:
    """``AT+jwt`` → ``application/at+jwt`` (RFC 7515 §4.1.9: without a slash, ``application/`` is understood)."""
    return typ.lower() if "/" in typ else f"application/{typ.lower()}"


def parse(segment: bytes) -> Header:
    """The header in a token's first segment.

    Raises:
        MalformedToken: too long, not strict base64url or JSON, a member of the wrong type, or one that is refused.
    """
    if len(segment) > MAX_SEGMENT:
        raise MalformedToken("the header is too long")
    try:
        members = strict_json.loads_object(base64url.decode(segment))
    except ValueError:
        raise MalformedToken("the header is not a JSON object in base64url") from None
    if not _REFUSED.isdisjoint(members):
        raise MalformedToken("the header has a member that is refused")
    typ = _text(members, "typ", MAX_TYP)
    return Header(_required_alg(members), _text(members, "kid", MAX_KID), None if typ is None else media_type(typ))


def build(alg: str, kid: str, typ: str | None) -> bytes:
    """The first segment of a token."""
    members = {"alg": alg, "kid": kid} if typ is None else {"alg": alg, "kid": kid, "typ": typ}
    return base64url.encode(strict_json.dumps(members))


def _required_alg(members: dict[str, Any]) -> str:
    alg = _text(members, "alg", MAX_TYP)
    if alg is None:
        raise MalformedToken("the header names no algorithm")
    return alg


def _text(members: dict[str, Any], name: str, most: int) -> str | None:
    if name not in members:
        return None
    value = members[name]
    # int, list and null reach code that hashes or joins; a long kid reaches logs
    if not isinstance(value, str) or len(value) > most:
        raise MalformedToken("a member of the header has the wrong type or is too long")
    return value
