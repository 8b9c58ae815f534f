"""The keys of one issuer, and the choice of the key that a token's header names (RFC 7517 §5)."""

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
    """The keys that may verify an issuer's tokens, each with its own ``kid``.

    Immutable. An empty set verifies no token.

    Raises:
        KeyRejected: two keys share a ``kid``, one key has two algorithms, the set mixes secrets and public keys, or
            there are more than `MAX_KEYS`. The right key would then be a guess.
    """

    __slots__ = ("_by_kid", "_headers", "_only", "recall")

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        members = tuple(keys)
        _check_unambiguous(members)
        self._by_kid: Final = {key.kid: key for key in members}
        self._only: Final = members[0] if len(members) == 1 else None
        self._headers: Final[dict[bytes, tuple[Header, Key]]] = {}
        self.recall: Final = self._headers.get
        """The header and key that `remember` stored for a header segment, or None."""

    @classmethod
    def from_jwks(cls, document: Mapping[str, Any]) -> Self:
        """Reads a JWK Set. Members that are unknown, malformed or not for verifying are ignored (RFC 7517 §5).

        Raises:
            KeyRejected: ``document`` is not a JWK Set, has no usable key, or is ambiguous as a whole.
        """
        listed = document.get("keys") if isinstance(document, Mapping) else None
        if not isinstance(listed, list) or len(listed) > MAX_KEYS:
            raise KeyRejected(f"not a JWK Set with at most {MAX_KEYS} keys")
        if _shares_a_kid(listed):
            raise KeyRejected("two members of the JWK Set share a kid: each key needs its own")
        keys = [key for key in map(_read_member, listed) if key is not None]
        if not keys:
            raise KeyRejected("the JWK Set has no usable key: it needs a supported public key for signatures")
        return cls(keys)

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Reads a JWK Set from JSON.

        Raises:
            KeyRejected: as `from_jwks`, or ``data`` has more than `MAX_DOCUMENT` bytes.
        """
        if len(data) > MAX_DOCUMENT:
            raise KeyRejected(f"the JWK Set is larger than {MAX_DOCUMENT} bytes")
        try:
            document = strict_json.loads_object(data)
        except ValueError:
            raise KeyRejected("the JWK Set is not a strict JSON object") from None
        return cls.from_jwks(document)

    def to_jwks(self) -> dict[str, list[dict[str, str]]]:
        """The JWK Set to publish.

        Raises:
            KeyRejected: the set contains secrets (RFC 7517 §9.2).
        """
        if any(isinstance(key, HmacKey) for key in self):
            raise KeyRejected("the key set contains HMAC secrets, which must never be published")
        return {"keys": [key.to_jwk() for key in self]}

    def choose(self, header: Header) -> Key | None:
        """The key that ``header`` names, if the header also names the key's algorithm.

        Without a ``kid`` it is the key of a set that has only one. Keys are never tried one after the other: an
        attacker could then choose the key and use up our time.
        """
        key = self._only if header.kid is None else self._by_kid.get(header.kid)
        return key if key is not None and header.alg in key.spellings else None

    def remember(self, segment: bytes, header: Header, key: Key) -> None:
        """Caches a parsed header. Call it only after a signature over the segment was verified.

        Only holders of the keys can then fill the cache, and each of the few headers that they write is parsed once.
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
        raise KeyRejected("a key set accepts only VerifyingKey and HmacKey: for a SigningKey, pass its public")
    if len(keys) > MAX_KEYS:
        raise KeyRejected(f"a key set accepts at most {MAX_KEYS} keys, not {len(keys)}")
    if len({key.kid for key in keys}) != len(keys):
        raise KeyRejected("two keys of the set share a kid: each key needs its own")
    if len({isinstance(key, HmacKey) for key in keys}) > 1:
        raise KeyRejected("the set mixes secrets and public keys: make one set for each")
    algorithm_of = {key.thumbprint: key.alg for key in keys}
    if any(algorithm_of[key.thumbprint] != key.alg for key in keys):
        raise KeyRejected("one key of the set is listed with two algorithms: keep one of them")


def _shares_a_kid(listed: list[object]) -> bool:
    """Whether two members share a ``kid``. Ignored members count too: the right one would still be a guess."""
    kids = [kid for jwk in listed if isinstance(jwk, dict) and isinstance(kid := jwk.get("kid"), str)]
    return len(set(kids)) != len(kids)


def _read_member(jwk: object) -> Key | None:
    if not isinstance(jwk, dict):
        return None
    try:
        return HmacKey.from_jwk(jwk) if jwk.get("kty") == "oct" else VerifyingKey.from_jwk(jwk)
    except KeyRejected:
        return None
