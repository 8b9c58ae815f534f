"""`JwtVerifier`: JWTs of other kinds and other issuers, by rules that the caller states."""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Annotated, Any, Final, final

import msgspec
from msgspec import Meta, Struct

from ostiary.errors import ClaimRejected, ConfigurationError, MalformedToken, TokenExpired
from ostiary.jose import MAX_TOKEN, Key, KeySet, base64url, strict_json, verify
from ostiary.verifier.access_token import Identifier, Seconds, frozen
from ostiary.verifier.limits import LEEWAY, MAX_LIFETIME, check_parameters
from ostiary.verifier.remote import RemoteKeys
from ostiary.verifier.remote.flights import Steps, finish, finish_async


class Claims(Struct, frozen=True, kw_only=True):
    """The registered claims (RFC 7519 §4.1) of a JWT that was verified. Immutable to the leaves."""

    iss: Identifier
    aud: Identifier | Annotated[tuple[Identifier, ...], Meta(min_length=1)]
    exp: Seconds
    sub: Identifier | None = None
    iat: Seconds | None = None
    nbf: Seconds | None = None
    jti: Identifier | None = None
    extra: Mapping[str, Any]
    """All other claims, read-only. What ``nonce`` or ``azp`` must be, only the caller can know: compare them."""


_REGISTERED: Final = frozenset(Claims.__struct_fields__) - {"extra"}


class Expectation(Struct, frozen=True, kw_only=True):
    """What a JWT must be like, beside what every JWT must be: of a known issuer, for us, and in time.

    Two kinds of tokens must never fit one expectation (RFC 8725bis §3.12). Where an issuer gives all of them the same
    ``typ``, or none, name in ``required`` a claim that only the kind meant has, such as ``nonce``.
    """

    typ: str | None
    """The kind, such as ``logout+jwt``; media types are compared. None states that the header has none."""
    required: tuple[str, ...]
    """The claims that must be there beside ``iss``, ``aud`` and ``exp``. Tokens that are bound to a key (``cnf``) are
    refused unless this names ``cnf``, because then the caller is going to compare the key."""
    max_lifetime: int = MAX_LIFETIME
    """Seconds from ``iat`` (without it: from now) to ``exp`` at most."""

    def __post_init__(self) -> None:
        """Raises ConfigurationError for what could never be met, or by mistake always."""
        if not (self.typ is None or (isinstance(self.typ, str) and self.typ)):
            raise ConfigurationError("typ is a text that is not empty, or None")
        if type(self.required) is not tuple or not all(isinstance(name, str) and name for name in self.required):
            raise ConfigurationError("required is a tuple of names of claims")
        if type(self.max_lifetime) is not int or self.max_lifetime < 1:
            raise ConfigurationError("max_lifetime is a whole number of seconds")


@final
class JwtVerifier:
    """Verifies JWTs of several issuers, each by its own keys. Usable from many threads and from event loops.

    The issuer that a token names decides which keys are asked, so that no issuer can speak for another.

    Args:
        issuers: ``iss``, to the letter → its keys: a `KeySet` or the keys of one, or `RemoteKeys`.
        audience: What ``aud`` must be or contain, to the letter. For ID tokens: the client's id.
        leeway: Seconds by which an issuer's clock may differ from ours: 0 to `ostiary.verifier.MAX_LEEWAY`.
        clock: Seconds since the epoch.

    Raises:
        ConfigurationError: a parameter with which nothing could be verified safely.
    """

    def __init__(
        self,
        *,
        issuers: Mapping[str, Iterable[Key] | RemoteKeys],
        audience: str,
        expectation: Expectation,
        leeway: int = LEEWAY,
        clock: Callable[[], float] = time.time,  # noqa: TID251 - the library's user has no other clock to give
    ) -> None:
        for issuer in issuers:
            check_parameters(issuer, audience, leeway)
        self._keys_of = {issuer: _checked_keys(issuer, keys) for issuer, keys in issuers.items()}
        if not self._keys_of:
            raise ConfigurationError("a verifier needs an issuer")
        self._audience = audience
        self._expectation = expectation
        self._leeway = leeway
        self._clock = clock

    def verify(self, token: str, *, now: float | None = None) -> Claims:
        """The claims of ``token``, if it is good at this moment. Waits for keys as `RemoteVerifier.verify` does.

        Args:
            now: Seconds since the epoch; by default what the clock says.

        Raises:
            InvalidToken: one of its family. Of an issuer that is known, a bad signature is reported before anything
                that the claims say.
            Unavailable: the issuer's keys cannot be known.
        """
        return finish(self._steps(token, now))

    async def verify_async(self, token: str, *, now: float | None = None) -> Claims:
        """As `verify`, and never stops the event loop."""
        return await finish_async(self._steps(token, now))

    def _steps(self, token: str, now: float | None) -> Steps[Claims]:
        issuer = _issuer_named_in(token)
        keys = self._keys_of.get(issuer)
        if keys is None:  # before any key is asked, or fetched
            raise ClaimRejected("of another issuer")
        check = partial(self._verify_with, token, issuer, now)
        return (yield from keys.steps(token, check)) if isinstance(keys, RemoteKeys) else check(keys)

    def _verify_with(self, token: str, issuer: str, now: float | None, keys: KeySet) -> Claims:
        expected = self._expectation
        claims = _decode(verify(token, keys, typ=expected.typ).payload, required=expected.required)
        if claims.iss != issuer:  # what was signed counts, not what was read to find the keys
            raise ClaimRejected("of another issuer")
        if claims.aud != self._audience and (isinstance(claims.aud, str) or self._audience not in claims.aud):
            raise ClaimRejected("for another audience")
        self._check_moment(claims, self._clock() if now is None else now)
        return claims

    def _check_moment(self, claims: Claims, now: float) -> None:
        """Each test is written so that a clock that says NaN fails it."""
        if not now < claims.exp + self._leeway:  # RFC 7519 §4.1.4: on or after exp it is over
            raise TokenExpired("expired")
        latest_start = now + self._leeway
        starts = [start for start in (claims.iat, claims.nbf) if start is not None]
        if not all(start <= latest_start for start in starts):
            raise ClaimRejected("not valid yet")
        issued = latest_start if claims.iat is None else claims.iat
        if not claims.exp - issued <= self._expectation.max_lifetime or not all(start < claims.exp for start in starts):
            raise ClaimRejected("no lifetime, or too long a one")


def _checked_keys(issuer: str, keys: Iterable[Key] | RemoteKeys) -> KeySet | RemoteKeys:
    if not isinstance(keys, RemoteKeys):
        return KeySet(keys)
    if keys.issuer != issuer:
        raise ConfigurationError("the keys of one issuer stand under the name of another")
    return keys


def _issuer_named_in(token: str) -> str:
    """Not to be believed: it only says whose keys have to prove it (RFC 8725bis §3.8)."""
    if not isinstance(token, str) or len(token) > MAX_TOKEN:
        raise MalformedToken("not a token, or too long for one")
    try:
        _, payload, _ = token.encode("ascii").split(b".", 2)
        issuer = strict_json.loads_object(base64url.decode(payload)).get("iss")
    except ValueError:
        raise MalformedToken("not three segments with a strict JSON object") from None
    if not isinstance(issuer, str):
        raise ClaimRejected("iss is missing or has the wrong type")
    return issuer


def _decode(payload: bytes, *, required: tuple[str, ...]) -> Claims:
    try:
        claims = strict_json.loads_object(payload)
    except ValueError:
        raise MalformedToken("the payload is not a strict JSON object") from None
    if any(claims.get(name) is None for name in required):
        raise ClaimRejected("a required claim is missing")
    if "cnf" in claims and "cnf" not in required:  # as plain Bearer it would be downgraded (RFC 9449 §7.2)
        raise ClaimRejected("bound to a key that nobody is going to compare")
    return _typed(claims)


def _typed(claims: dict[str, Any]) -> Claims:
    known = {name: value for name, value in claims.items() if name in _REGISTERED}
    if any(value is None for value in known.values()):
        raise ClaimRejected("a claim is null")
    extra = frozen({name: value for name, value in claims.items() if name not in _REGISTERED})
    try:
        typed = msgspec.convert({**known, "extra": {}}, Claims)
    except msgspec.ValidationError:
        raise ClaimRejected("a claim is missing or has the wrong type") from None
    # an id becomes part of log lines: nothing in it may end a line or move a cursor
    if not f"{typed.sub}{typed.jti}".isprintable():
        raise ClaimRejected("an id has characters that cannot be printed")
    return msgspec.structs.replace(typed, extra=extra)
