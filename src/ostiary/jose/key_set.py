"""The keys of one issuer, and the choice of the key that a token's header names (RFC 7517 §5)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Self, TypeAlias, final

from msgspec import Struct

from ostiary.errors import KeyRejected
from ostiary.jose import strict_json
from ostiary.jose.algorithms import scheme_named
from ostiary.jose.header import Header
from ostiary.jose.hmac_key import HmacKey
from ostiary.jose.jwk import MAX_KID
from ostiary.jose.keys import VerifyingKey

MAX_KEYS: Final = 100
MAX_DOCUMENT: Final = 256 * 1024  # bytes; a hundred keys of the largest kind fit
MAX_KNOWN_HEADERS: Final = 256

DEFAULT_RSA: Final = "RS256"  # issuers that name no algorithm (RFC 7517 §4.4: alg is optional) sign with this one

Key: TypeAlias = VerifyingKey | HmacKey


class SkippedKey(Struct, frozen=True):
    """A member of a JWK Set that is not used."""

    index: int
    """Its place in ``keys``, counted from 0."""
    kid: str | None
    """None: it has none that can be shown in a log."""
    reason: str
    """For operators. Never contains anything that the issuer sent."""


@final
class KeySet:
    """The keys that may verify an issuer's tokens, each with its own ``kid``.

    Immutable. An empty set verifies no token.

    Raises:
        KeyRejected: two keys share a ``kid``, one key has two algorithms, the set mixes secrets and public keys, or
            there are more than `MAX_KEYS`. The right key would then be a guess.
    """

    __slots__ = ("_by_kid", "_headers", "_only", "recall", "skipped")

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        members = tuple(keys)
        _check_unambiguous(members)
        self.skipped: tuple[SkippedKey, ...] = ()
        """What `from_jwks` left out, and why."""
        self._by_kid: Final = {key.kid: key for key in members}
        self._only: Final = members[0] if len(members) == 1 else None
        self._headers: Final[dict[bytes, tuple[Header, Key]]] = {}
        self.recall: Final = self._headers.get
        """The header and key that `remember` stored for a header segment, or None."""

    @classmethod
    def from_jwks(cls, document: Mapping[str, Any], *, alg: str | None = None) -> Self:
        """Reads a JWK Set. Members that cannot be used are left out, and listed in `skipped` (RFC 7517 §5).

        These are members that are unknown, malformed or not for verifying, secrets among public keys, different keys
        with the same ``kid``, and an earlier member's key once more, also with another algorithm.

        Args:
            alg: The only algorithm of the issuer. Keys for another one are left out. None: each key has the algorithm
                that it names. If it names none, it has the only one of its curve, or RS256 if it is an RSA key.

        Raises:
            KeyRejected: ``document`` is not a JWK Set, has no usable key, or ``alg`` is not supported.
        """
        listed = document.get("keys") if isinstance(document, Mapping) else None
        if not isinstance(listed, list) or len(listed) > MAX_KEYS:
            raise KeyRejected(f"not a JWK Set with at most {MAX_KEYS} keys")
        if alg is not None:
            scheme_named(alg)
        keys, skipped = _read_members(listed, alg)
        if not keys:
            why = f": the first was left out because {skipped[0].reason}" if skipped else ""
            raise KeyRejected(f"the JWK Set has no usable key{why}")
        key_set = cls(keys)
        key_set.skipped = tuple(skipped)
        return key_set

    @classmethod
    def from_json(cls, data: bytes, *, alg: str | None = None) -> Self:
        """Reads a JWK Set from JSON. ``alg`` is as in `from_jwks`.

        Raises:
            KeyRejected: as `from_jwks`, or ``data`` has more than `MAX_DOCUMENT` bytes.
        """
        if len(data) > MAX_DOCUMENT:
            raise KeyRejected(f"the JWK Set is larger than {MAX_DOCUMENT} bytes")
        try:
            document = strict_json.loads_object(data)
        except ValueError:
            raise KeyRejected("the JWK Set is not a strict JSON object") from None
        return cls.from_jwks(document, alg=alg)

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


def _read_members(listed: list[object], alg: str | None) -> tuple[list[Key], list[SkippedKey]]:
    """The keys that can be used together, and the others. No token can choose between two algorithms or two keys."""
    read = [_read_member(jwk, alg) for jwk in listed]
    public = [key for key in read if isinstance(key, VerifyingKey)]
    readable: Sequence[Key] = public or [key for key in read if isinstance(key, HmacKey)]
    keys: list[Key] = []
    skipped: list[SkippedKey] = []
    for index, (jwk, key) in enumerate(zip(listed, read, strict=True)):
        reason = key.detail if isinstance(key, KeyRejected) else _conflict(key, readable, keys)
        if reason is not None:
            skipped.append(SkippedKey(index, _kid_to_show(jwk), reason))
        elif not isinstance(key, KeyRejected):
            keys.append(key)
    return keys, skipped


def _conflict(key: Key, readable: Sequence[Key], earlier: list[Key]) -> str | None:
    """Why the key cannot be used together with the others, if so."""
    if key not in readable:
        return "it is a secret in a set of public keys"
    if any(other.kid == key.kid and other.thumbprint != key.thumbprint for other in readable):
        return "another key has the same kid, so the right one would be a guess"
    for other in earlier:
        if other.thumbprint == key.thumbprint and other.alg != key.alg:
            return "an earlier member is the same key with another algorithm"
        if other.kid == key.kid:
            return "an earlier member is the same key"
    return None


def _read_member(jwk: object, alg: str | None) -> Key | KeyRejected:
    try:
        return _read_key(jwk, alg)
    except KeyRejected as problem:
        return problem


def _read_key(jwk: object, alg: str | None) -> Key:
    if not isinstance(jwk, dict):
        raise KeyRejected("not a JWK: it must be a JSON object")
    if jwk.get("kty") == "oct":
        return HmacKey.from_jwk(jwk, alg=alg)
    if jwk.get("kty") == "RSA" and "alg" not in jwk:  # decided here and not by the token (RFC 8725bis §3.1)
        return VerifyingKey.from_jwk(jwk, alg=alg or DEFAULT_RSA)
    return VerifyingKey.from_jwk(jwk, alg=alg)


def _kid_to_show(jwk: object) -> str | None:
    kid = jwk.get("kid") if isinstance(jwk, dict) else None
    return kid if isinstance(kid, str) and len(kid) <= MAX_KID and kid.isprintable() else None
