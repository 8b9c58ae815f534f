"""JWS compact serialization (RFC 7515 §7.1): the only form in which tokens are read and written."""

from typing import Final

from msgspec import Struct

from ostiary.errors import BadSignature, ClaimRejected, MalformedToken
from ostiary.jose import base64url
from ostiary.jose import header as headers
from ostiary.jose.header import Header
from ostiary.jose.hmac_key import HmacKey
from ostiary.jose.key_set import Key, KeySet
from ostiary.jose.keys import SigningKey

MAX_TOKEN: Final = 16 * 1024  # characters


class Verified(Struct, frozen=True, gc=False):
    """What a key of the set has signed. ``payload`` is those very bytes; nothing is read from the token again."""

    header: Header
    payload: bytes


def sign(payload: bytes, key: SigningKey | HmacKey, *, typ: str | None, longest: int = MAX_TOKEN) -> str:
    """The token in which ``key`` signs ``payload``; ``typ`` is its kind, such as ``at+jwt`` (RFC 9068 §2.1).

    Args:
        longest: How many characters whoever verifies it accepts.

    Raises:
        ValueError: it would be too long for anybody to verify.
    """
    message = headers.build(key.alg, key.kid, typ) + b"." + base64url.encode(payload)
    token = message + b"." + base64url.encode(key.sign(message))
    if len(token) > longest:
        raise ValueError(f"a token of {len(token)} bytes: {longest} are accepted")
    return token.decode("ascii")


def verify(token: str, keys: KeySet, *, typ: str | None, longest: int = MAX_TOKEN) -> Verified:
    """Checks form, signature and kind of a token, in this order.

    Args:
        typ: The kind that is expected, such as ``at+jwt`` (RFC 8725bis §3.11). Media types are compared, so that
            ``application/at+jwt`` and other letter cases are equal. None: the header must have none.
        longest: How many characters are accepted: more only for a kind that has to be longer, from who is asked for it.

    Raises:
        MalformedToken: not three segments of strict base64url, too long, or a header that is refused.
        BadSignature: no key of the set has that name and algorithm, or it did not sign this.
        ClaimRejected: signed, but of another kind.
    """
    segment, payload, signature, message = _split(token, longest)
    known = keys.recall(segment)
    header, key = known or _choose(segment, keys)
    if not key.matches(signature, message):
        raise BadSignature("the signature does not match")
    if known is None:
        keys.remember(segment, header, key)
    if header.typ != (None if typ is None else headers.media_type(typ)):
        raise ClaimRejected("a token of another kind")
    return Verified(header, payload)


def _split(token: str, longest: int) -> tuple[bytes, bytes, bytes, bytes]:
    """Header segment, payload, signature, and what was signed. Size first: nothing else looks at a giant."""
    if not isinstance(token, str) or len(token) > longest:
        raise MalformedToken("not a token, or too long for one")
    try:
        message, _, signature = token.encode("ascii").rpartition(b".")
        segment, dot, payload = message.partition(b".")
        if not dot:
            raise MalformedToken("not three segments")
        # a further dot, as in the five segments of a JWE, is no base64url character
        return segment, base64url.decode(payload), base64url.decode(signature), message
    except ValueError:
        raise MalformedToken("not three segments of base64url") from None


def _choose(segment: bytes, keys: KeySet) -> tuple[Header, Key]:
    header = headers.parse(segment)
    key = keys.choose(header)
    if key is None:
        raise BadSignature("no key of that name and algorithm")
    return header, key
