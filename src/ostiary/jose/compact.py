"""JWS compact serialization (RFC 7515 §7.1), the only token format that Ostiary reads and writes."""

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
    """The verified content of a token. ``payload`` holds exactly the bytes that were signed."""

    header: Header
    payload: bytes


def sign(payload: bytes, key: SigningKey | HmacKey, *, typ: str | None, longest: int = MAX_TOKEN) -> str:
    """Signs ``payload`` with ``key`` and returns the token.

    Args:
        typ: The kind of token, such as ``at+jwt`` (RFC 9068 §2.1).
        longest: The maximum number of characters that verifiers accept.

    Raises:
        ValueError: the token would be longer than verifiers accept.
    """
    message = headers.build(key.alg, key.kid, typ) + b"." + base64url.encode(payload)
    token = message + b"." + base64url.encode(key.sign(message))
    if len(token) > longest:
        raise ValueError(f"the token has {len(token)} bytes, but only {longest} are accepted: shorten the payload")
    return token.decode("ascii")


def verify(token: str, keys: KeySet, *, typ: str | None, longest: int = MAX_TOKEN, foreign: bool = False) -> Verified:
    """Checks the form, signature and kind of a token, in this order.

    Args:
        typ: The expected kind, such as ``at+jwt`` (RFC 8725bis §3.11). It is compared as a media type, so
            ``application/at+jwt`` and other letter cases are equal. None: the header must not have a ``typ``.
        longest: The maximum number of characters. Raise it only for kinds of tokens that need to be longer and that
            you requested from their issuer.
        foreign: Whether another system wrote the token. Its header may then have members that are of no use to us.
            See `ostiary.jose.header.parse`.

    Raises:
        MalformedToken: the token is not three segments of strict base64url, is too long, or has a refused header.
        BadSignature: the set has no key with the token's ``kid`` and ``alg``, or the signature does not match.
        ClaimRejected: the token is signed, but of another kind.
    """
    # the size comes first, so that no other code processes an oversized token
    if not isinstance(token, str) or len(token) > longest:
        raise MalformedToken(f"the token is not a string, or is longer than {longest} characters")
    try:
        message, _, third = token.encode("ascii").rpartition(b".")
        segment, dot, second = message.partition(b".")
        if not dot:
            raise MalformedToken("the token is not three segments separated by dots")
        # any further dot, as in the five segments of a JWE, fails here: it is not a base64url character
        payload, signature = base64url.decode(second), base64url.decode(third)
    except ValueError:
        raise MalformedToken("the token is not three segments of base64url") from None
    known = keys.recall(segment)
    header, key = known or _choose(segment, keys, foreign=foreign)
    if not key.matches(signature, message):
        raise BadSignature("the signature does not match")
    if known is None and not foreign:  # a header that is only good in a foreign token must not become good in our own
        keys.remember(segment, header, key)
    if header.typ != (None if typ is None else headers.media_type(typ)):
        wanted = "no typ" if typ is None else f"typ {typ}"
        raise ClaimRejected(f"typ: a token of another kind, pass one with {wanted}")
    return Verified(header, payload)


def _choose(segment: bytes, keys: KeySet, *, foreign: bool) -> tuple[Header, Key]:
    header = headers.parse(segment, foreign=foreign)
    key = keys.choose(header)
    if key is None:
        raise BadSignature("kid, alg: the issuer has no key of that name and algorithm")
    return header, key
