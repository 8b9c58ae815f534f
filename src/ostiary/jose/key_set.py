"""The keys of one issuer, and which of them a token's header names (RFC 7517 §5)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Self, TypeAlias, final

from ostiary.errors import KeyRejected
from ostiary.jose import strict_json
from ostiary.jose.header import Header
from ostiary.jose.hmac_key import HmacKey
from ostiary.jose.keys import VerifyingKey

MAX_KEYS: Final = 100
MAX_DOCUMENT: Final = 256 * 1024  # bytes; a hundred keys of the largest kind fit
MAX_KNOWN_HEADERS: Final = 256

Key: TypeAlias = VerifyingKey | HmacKey


@final
class KeySet:
    """The keys that may verify an issuer's tokens, each named by its ``kid``. Immutable; an empty set verifies nothing.

    Raises:
        KeyRejected: two keys share a ``kid``, one key stands under two algorithms, secrets stand beside public keys, or
            there are more than `MAX_KEYS`. Which key counts would then be a guess.
    """

    __slots__ = ("_by_kid", "_headers", "_only", "recall")

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        members = tuple(keys)
        _check_unambiguous(members)
        self._by_kid: Final = {key.kid: key for key in members}
        self._only: Final = members[0] if len(members) == 1 else None
        self._headers: Final[dict[bytes, tuple[Header, Key]]] = {}
        self.recall: Final = self._headers.get
        """What `remember` was told about a header segment, or None."""

    @classmethod
    def from_jwks(cls, document: Mapping[str, Any]) -> Self:
        """Reads a JWK Set. Members that are unknown, malformed or not for verifying are left out (RFC 7517 §5).

        Raises:
            KeyRejected: not a JWK Set, no usable key in it, or ambiguous as a whole.
        """
        listed = document.get("keys") if isinstance(document, Mapping) else None
        if not isinstance(listed, list) or len(listed) > MAX_KEYS:
            raise KeyRejected(f"not a JWK Set with at most {MAX_KEYS} keys")
        if _shares_a_kid(listed):
            raise KeyRejected("two members of the JWK Set share a kid")
        keys = [key for key in map(_read_member, listed) if key is not None]
        if not keys:
            raise KeyRejected("the JWK Set holds no usable key")
        return cls(keys)

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Reads a JWK Set from its JSON. Raises as `from_jwks`, also for more than `MAX_DOCUMENT` bytes."""
        if len(data) > MAX_DOCUMENT:
            raise KeyRejected("the JWK Set is too large")
        try:
            document = strict_json.loads_object(data)
        except ValueError:
            raise KeyRejected("the JWK Set is not strict JSON") from None
        return cls.from_jwks(document)

    def to_jwks(self) -> dict[str, list[dict[str, str]]]:
        """The JWK Set to publish. Raises KeyRejected for a set of secrets (RFC 7517 §9.2)."""
        if any(isinstance(key, HmacKey) for key in self):
            raise KeyRejected("secrets must never be published")
        return {"keys": [key.to_jwk() for key in self]}

    def choose(self, header: Header) -> Key | None:
        """The key that ``header`` names, if it also names that key's algorithm. Without ``kid``, the only key there is.

        Trying one key after the other would let an attacker pick, and pay with our time.
        """
        key = self._only if header.kid is None else self._by_kid.get(header.kid)
        return key if key is not None and header.alg in key.spellings else None

    def remember(self, segment: bytes, header: Header, key: Key) -> None:
        """Keeps a parsed header. Call it only after a signature over the segment was verified.

        So only the holders of the keys can fill the table, and the few headers that they write are parsed once.
        """
        if len(self._headers) < MAX_KNOWN_HEADERS:
            self._headers[segment] = (header, key)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._by_kid.values())

    def __len__(self) -> int:
        return len(self._by_kid)

    def __contains__(self, kid: object) -> bool:
        return kid in self._by_kid

    def __repr__(self) -> str:
        return f"KeySet({list(self)!r})"


def _check_unambiguous(keys: tuple[Key, ...]) -> None:
    if not all(isinstance(key, VerifyingKey | HmacKey) for key in keys):
        raise KeyRejected("a key set is made of VerifyingKey or HmacKey; of a SigningKey take `public`")
    if len(keys) > MAX_KEYS:
        raise KeyRejected(f"a key set has at most {MAX_KEYS} keys")
    if len({key.kid for key in keys}) != len(keys):
        raise KeyRejected("two keys of the set share a kid")
    if len({isinstance(key, HmacKey) for key in keys}) > 1:
        raise KeyRejected("the set mixes secrets and public keys")
    algorithm_of = {key.thumbprint: key.alg for key in keys}
    if any(algorithm_of[key.thumbprint] != key.alg for key in keys):
        raise KeyRejected("one key of the set stands under two algorithms")


def _shares_a_kid(listed: list[object]) -> bool:
    """Also of members that are left out: which of the two the issuer means is a guess all the same."""
    kids = [kid for jwk in listed if isinstance(jwk, dict) and isinstance(kid := jwk.get("kid"), str)]
    return len(set(kids)) != len(kids)


def _read_member(jwk: object) -> Key | None:
    if not isinstance(jwk, dict):
        return None
    try:
        return HmacKey.from_jwk(jwk) if jwk.get("kty") == "oct" else VerifyingKey.from_jwk(jwk)
    except KeyRejected:
        return None
