"""The protected header of a compact JWS, read strictly (RFC 7515 §4, RFC 8725bis §3.1, §3.11)."""

import functools
from typing import Any, Final

from msgspec import Struct

from ostiary.errors import MalformedToken
from ostiary.jose import base64url, strict_json
from ostiary.jose.jwk import MAX_KID

MAX_SEGMENT: Final = 4096  # characters; a foreign header may be as long as its token, because certificates are long
MAX_TYP: Final = 128  # characters

# Members that would change how the token is read, or that bring a key. We support none of them and trust no such key.
_REFUSED_ALWAYS: Final = frozenset({"crit", "b64", "jwk", "zip", "enc"})
_REFUSED: Final = _REFUSED_ALWAYS | {"jku", "x5c", "x5u"}


class Header(Struct, frozen=True):
    """The members of a header that we use.

    ``typ`` is the full media type in lower case, such as ``application/at+jwt``.
    """

    alg: str
    kid: str | None
    typ: str | None


@functools.lru_cache(maxsize=64)
def media_type(typ: str) -> str:
    """``AT+jwt`` → ``application/at+jwt`` (RFC 7515 §4.1.9: without a slash, ``application/`` is implied)."""
    return typ.lower() if "/" in typ else f"application/{typ.lower()}"


def parse(segment: bytes, *, foreign: bool = False) -> Header:
    """Reads the header from a token's first segment.

    Args:
        foreign: Whether another system wrote the header. ``jku``, ``x5u`` and ``x5c`` are then ignored: many issuers
            add them. The key still comes only from the issuer's own set.

    Raises:
        MalformedToken: the header is too long, not strict base64url or JSON, or has a member that is refused or has the
            wrong type.
    """
    if len(segment) > MAX_SEGMENT and not foreign:
        raise MalformedToken(f"the header is longer than {MAX_SEGMENT} characters")
    try:
        members = strict_json.loads_object(base64url.decode(segment))
    except ValueError:
        raise MalformedToken("the header is not a JSON object in base64url") from None
    if refused := (_REFUSED_ALWAYS if foreign else _REFUSED).intersection(members):
        raise MalformedToken(f"{min(refused)}: this header member is not allowed")
    typ = _text(members, "typ", MAX_TYP)
    return Header(_required_alg(members), _text(members, "kid", MAX_KID), None if typ is None else media_type(typ))


def build(alg: str, kid: str, typ: str | None) -> bytes:
    """Writes the first segment of a token."""
    members = {"alg": alg, "kid": kid} if typ is None else {"alg": alg, "kid": kid, "typ": typ}
    return base64url.encode(strict_json.dumps(members))


def _required_alg(members: dict[str, Any]) -> str:
    alg = _text(members, "alg", MAX_TYP)
    if alg is None:
        raise MalformedToken("alg: the header does not name an algorithm")
    return alg


def _text(members: dict[str, Any], name: str, most: int) -> str | None:
    if name not in members:
        return None
    value = members[name]
    # numbers, lists and null would reach code that hashes or joins strings, and a long kid would reach the logs
    if not isinstance(value, str) or len(value) > most:
        raise MalformedToken(f"{name}: the header member must be a string of at most {most} characters")
    return value
