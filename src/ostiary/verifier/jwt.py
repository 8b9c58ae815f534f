"""`JwtVerifier`: verifies JWTs of other kinds and other issuers, by rules that you define."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Annotated, Any, Final, final

import msgspec
from msgspec import Meta, Struct

from ostiary.errors import ClaimRejected, ConfigurationError, MalformedToken, TokenExpired
from ostiary.jose import MAX_TOKEN, Key, KeySet, base64url, strict_json, verify
from ostiary.verifier.access_token import Identifier, Seconds, frozen
from ostiary.verifier.claims import check_not_null, check_printable, convert_claims
from ostiary.verifier.limits import LEEWAY, MAX_LIFETIME, check_parameters
from ostiary.verifier.remote import RemoteKeys
from ostiary.verifier.remote.flights import Steps, finish, finish_async


class Claims(Struct, frozen=True, kw_only=True):
    """The registered claims (RFC 7519 §4.1) of a verified JWT. Deeply immutable.

    Times are whole seconds. A fraction is rounded so that the token is valid for less time, never for more.
    """

    iss: Identifier
    aud: Identifier | Annotated[tuple[Identifier, ...], Meta(min_length=1)]
    exp: Seconds
    sub: Identifier | None = None
    iat: Seconds | None = None
    nbf: Seconds | None = None
    jti: Identifier | None = None
    extra: Mapping[str, Any]
    """All other claims, read-only. Compare ``nonce`` and ``azp`` yourself: only you know their expected values."""


# A time may be any JSON number (RFC 7519 §2). The direction in which a fraction is rounded shortens the validity.
_ROUNDED: Final[Mapping[str, Callable[[float], int]]] = {"exp": math.floor, "iat": math.ceil, "nbf": math.ceil}

_REGISTERED: Final = frozenset(Claims.__struct_fields__) - {"extra"}


class Expectation(Struct, frozen=True, kw_only=True):
    """The rules for a JWT, in addition to the rules for every JWT: a known issuer, our audience, valid at this time.

    One expectation must never accept two kinds of tokens (RFC 8725bis §3.12). If an issuer uses the same ``typ`` for
    all its tokens, or none, add a claim to ``required`` that only the intended kind has, such as ``nonce``.
    """

    typ: str | None
    """The kind, such as ``logout+jwt``, compared as a media type. None: the header must not have a ``typ``."""
    required: tuple[str, ...]
    """The claims that must be present in addition to ``iss``, ``aud`` and ``exp``.

    Tokens that are bound to a key (``cnf``) are refused unless this contains ``cnf``. If it does, you must compare the
    key yourself.
    """
    max_lifetime: int = MAX_LIFETIME
    """The maximum number of seconds from ``iat`` to ``exp``. Without ``iat`` it counts from now."""

    def __post_init__(self) -> None:
        """Raises ConfigurationError for rules that every token fails, or that accept any token by mistake."""
        if not (self.typ is None or (isinstance(self.typ, str) and self.typ)):
            raise ConfigurationError("typ must be a string that is not empty, or None")
        if type(self.required) is not tuple or not all(isinstance(name, str) and name for name in self.required):
            raise ConfigurationError("required must be a tuple of claim names")
        if type(self.max_lifetime) is not int or self.max_lifetime < 1:
            raise ConfigurationError("max_lifetime must be a whole number of seconds, at least 1")


@final
class JwtVerifier:
    """Verifies JWTs of several issuers, each with its own keys. Usable from threads and event loops.

    A token is verified only with the keys of the issuer that it names, so that no issuer can impersonate another.

    Args:
        issuers: The exact ``iss`` → its keys: a `KeySet`, an iterable of keys, or `RemoteKeys`.
        audience: The exact value that ``aud`` must equal or contain. For ID tokens it is the client's id.
        expectation: The rules for this kind of token.
        leeway: Seconds by which an issuer's clock may differ from ours: 0 to `ostiary.verifier.MAX_LEEWAY`.
        clock: Returns seconds since the epoch.

    Raises:
        ConfigurationError: a parameter is not valid, so tokens could not be verified safely.
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
            raise ConfigurationError("issuers must not be empty: pass at least one issuer with its keys")
        self._audience = audience
        self._expectation = expectation
        self._leeway = leeway
        self._clock = clock

    def verify(self, token: str, *, now: float | None = None) -> Claims:
        """The claims of ``token`` if it is valid now. Waits for keys as `RemoteVerifier.verify` does.

        Args:
            now: Seconds since the epoch. The default is the clock's time.

        Raises:
            InvalidToken: the token is not valid. The subclass says why. For a known issuer, the signature is checked
                before any claim.
            Unavailable: the issuer's keys cannot be fetched.
        """
        return finish(self._steps(token, now))

    async def verify_async(self, token: str, *, now: float | None = None) -> Claims:
        """Like `verify`, but never blocks the event loop."""
        return await finish_async(self._steps(token, now))

    def _steps(self, token: str, now: float | None) -> Steps[Claims]:
        issuer = _issuer_named_in(token)
        keys = self._keys_of.get(issuer)
        if keys is None:  # checked before any key is used or fetched
            raise ClaimRejected("iss: a token of another issuer")
        check = partial(self._verify_with, token, issuer, now)
        return (yield from keys.steps(token, check)) if isinstance(keys, RemoteKeys) else check(keys)

    def _verify_with(self, token: str, issuer: str, now: float | None, keys: KeySet) -> Claims:
        expected = self._expectation
        claims = _decode(verify(token, keys, typ=expected.typ, foreign=True).payload, required=expected.required)
        if claims.iss != issuer:  # the signed issuer counts, not the one that was read to find the keys
            raise ClaimRejected("iss: a token of another issuer")
        if claims.aud != self._audience and (isinstance(claims.aud, str) or self._audience not in claims.aud):
            raise ClaimRejected("aud: a token for another audience")
        self._check_moment(claims, self._clock() if now is None else now)
        return claims

    def _check_moment(self, claims: Claims, now: float) -> None:
        """Checks the times. Each comparison is written so that it fails if the clock returns NaN."""
        if not now < claims.exp + self._leeway:  # RFC 7519 §4.1.4: expired on or after exp
            raise TokenExpired("exp: the token has expired")
        latest_start = now + self._leeway
        starts = {name: start for name, start in (("iat", claims.iat), ("nbf", claims.nbf)) if start is not None}
        for name, start in starts.items():
            if not start <= latest_start:
                raise ClaimRejected(f"{name}: the token is not valid yet")
        issued = latest_start if claims.iat is None else claims.iat
        most = self._expectation.max_lifetime
        if not claims.exp - issued <= most:
            raise ClaimRejected(f"exp: the token is valid for longer than {most} seconds")
        for name, start in starts.items():
            if not start < claims.exp:
                raise ClaimRejected(f"exp: the token expires before its {name}")


def _checked_keys(issuer: str, keys: Iterable[Key] | RemoteKeys) -> KeySet | RemoteKeys:
    if not isinstance(keys, RemoteKeys):
        return KeySet(keys)
    if keys.issuer != issuer:
        raise ConfigurationError(f"issuers maps {issuer} to the RemoteKeys of {keys.issuer}: use the same issuer")
    return keys


def _issuer_named_in(token: str) -> str:
    """The unverified issuer. It is used only to choose the keys that must verify it (RFC 8725bis §3.8)."""
    if not isinstance(token, str) or len(token) > MAX_TOKEN:
        raise MalformedToken(f"the token is not a string, or is longer than {MAX_TOKEN} characters")
    try:
        _, payload, _ = token.encode("ascii").split(b".", 2)
        issuer = strict_json.loads_object(base64url.decode(payload)).get("iss")
    except ValueError:
        raise MalformedToken("the token is not three segments with a strict JSON object as payload") from None
    if not isinstance(issuer, str):
        raise ClaimRejected("iss: the claim is missing or has the wrong type")
    return issuer


def _decode(payload: bytes, *, required: tuple[str, ...]) -> Claims:
    try:
        claims = strict_json.loads_object(payload)
    except ValueError:
        raise MalformedToken("the payload is not a strict JSON object") from None
    for name in required:
        if claims.get(name) is None:
            raise ClaimRejected(f"{name}: the required claim is missing")
    if "cnf" in claims and "cnf" not in required:  # accepting it as plain Bearer is a downgrade (RFC 9449 §7.2)
        raise ClaimRejected("cnf: the token is bound to a key: to accept it, add cnf to required and compare the key")
    return _typed(claims)


def _typed(claims: dict[str, Any]) -> Claims:
    known = {name: value for name, value in claims.items() if name in _REGISTERED}
    check_not_null(known)
    for name, rounded in _ROUNDED.items():
        if isinstance(time_ := known.get(name), float):
            known[name] = rounded(time_)  # strict JSON has no NaN and no infinity
    extra = frozen({name: value for name, value in claims.items() if name not in _REGISTERED})
    typed = convert_claims({**known, "extra": {}}, Claims)
    check_printable(sub=typed.sub, jti=typed.jti)
    return msgspec.structs.replace(typed, extra=extra)
