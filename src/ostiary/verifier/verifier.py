"""`Verifier`: turns a token's text into an `AccessToken`, or raises an `ostiary.errors.InvalidToken`."""

import os
import time
from collections.abc import Callable, Collection, Iterable
from typing import Final, final

from ostiary.errors import ClaimRejected, ConfigurationError, MalformedToken, TokenExpired
from ostiary.jose import MAX_TOKEN, Key, KeySet, verify
from ostiary.verifier.access_token import ACCESS_TOKEN_TYPE, AccessToken, decode_access_token
from ostiary.verifier.limits import LEEWAY, MAX_LEEWAY, MAX_LIFETIME, check_parameters
from ostiary.verifier.remote import ClientCredentials, RemoteKeys, RemoteVerifier, RevocationFeed, StatusLists
from ostiary.verifier.remote.flights import OnTheirWay
from ostiary.verifier.revocations import Revocations, WhenStale

__all__ = ["LEEWAY", "MAX_LEEWAY", "MAX_LIFETIME", "Verifier"]

CACHED_TOKENS: Final = 8192


@final
class Verifier:
    """Verifies access tokens of one issuer for one audience. Thread-safe.

    Does no I/O itself. It waits only if ``revocations`` have to be fetched first.

    The signature and the claims that do not depend on the time are checked once. The result is cached, for a limited
    number of tokens, until the keys are replaced. Everything else is checked on every call: the times, the key that the
    token is bound to, and revocation.

    Args:
        keys: The issuer's keys: a `KeySet`, or an iterable of keys.
        issuer: The exact value of ``iss``.
        audience: The exact value that ``aud`` must equal or contain.
        leeway: Seconds by which the issuer's clock may differ from ours: 0 to `MAX_LEEWAY`.
        revocations: Checked for every token. None: tokens are valid until they expire.
        clock: Returns seconds since the epoch.

    Raises:
        ConfigurationError: a parameter is not valid, so tokens could not be verified safely.
    """

    def __init__(
        self,
        *,
        keys: Iterable[Key],
        issuer: str,
        audience: str,
        leeway: int = LEEWAY,
        revocations: Revocations | None = None,
        clock: Callable[[], float] = time.time,  # noqa: TID251 - the library's user has no other clock to give
    ) -> None:
        check_parameters(issuer, audience, leeway)
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway
        self._revocations = revocations
        self._clock = clock
        self.replace_keys(keys)

    @classmethod
    def remote(
        cls,
        issuer: str,
        *,
        audience: str,
        jwks_uri: str | None = None,
        openid: bool = False,
        networks: Iterable[str] = (),
        ca_file: str | os.PathLike[str] | None = None,
        development: bool = False,
        leeway: int = LEEWAY,
        feed: ClientCredentials | None = None,
        when_stale: WhenStale = "refuse",
        revocations: Revocations | None = None,
        clock: Callable[[], float] = time.time,  # noqa: TID251 - the library's user has no other clock to give
    ) -> RemoteVerifier:
        """Returns a verifier that fetches the issuer's keys and revocations automatically.

        Nothing is fetched before the first token or a call of `refresh`.

        Args:
            jwks_uri, openid, networks, ca_file, development: How the keys are found. See `RemoteKeys`.
            feed: Our credentials at the issuer, to follow its revocations as they happen. See `RevocationFeed`. None:
                tokens are looked up in the status lists that they name. See `StatusLists`.
            when_stale: What happens while revocations are unknown. See `WhenStale`.
            revocations: Checked for every token, instead of a feed or status lists.

        Raises:
            ConfigurationError: a parameter is not valid, or two parameters exclude each other.
        """
        source = RemoteKeys(
            issuer, jwks_uri=jwks_uri, openid=openid, networks=networks, ca_file=ca_file, development=development
        )
        if revocations is not None and (feed is not None or when_stale != "refuse"):
            raise ConfigurationError("revocations cannot be combined with feed or when_stale: pass one or the other")
        follower = None
        if feed is not None:
            revocations = follower = RevocationFeed(source, feed, when_stale=when_stale, leeway=leeway, clock=clock)
        elif revocations is None:
            revocations = StatusLists(source, when_stale=when_stale, leeway=leeway, clock=clock)

        def made_with(keys: KeySet) -> Verifier:
            return cls(keys=keys, issuer=issuer, audience=audience, leeway=leeway, revocations=revocations, clock=clock)

        return RemoteVerifier(source, made_with, feed=follower)

    def replace_keys(self, keys: Iterable[Key]) -> None:
        """Uses ``keys`` from now on. Results cached with the previous keys are dropped.

        Raises:
            KeyRejected: the keys are ambiguous. The previous keys stay in use.
        """
        # One assignment: a thread that is still verifying with the old keys caches its result in the old cache.
        self._known = _KnownTokens(KeySet(keys))

    def now(self) -> float:
        """The clock's time in seconds since the epoch."""
        return self._clock()

    def verify(self, token: str, *, now: float | None = None, proven_key: str | None = None) -> AccessToken:
        """The claims of ``token`` if it is valid now.

        Args:
            now: Seconds since the epoch. The default is the clock's time.
            proven_key: The thumbprint of the key whose possession the sender has proven (DPoP). A token bound to a key
                is valid only with that key. With a proven key, no other token is valid.

        Raises:
            InvalidToken: the token is not valid. The subclass says why. The signature is checked before any claim.
            RevocationsUnknown: revocations are unknown, so the token is refused.
        """
        if not isinstance(token, str) or len(token) > MAX_TOKEN:  # a cache look-up would hash an oversized text
            raise MalformedToken(f"the token is not a string, or is longer than {MAX_TOKEN} characters")
        known = self._known
        claims = known.young.get(token)
        if claims is None:
            claims = known.old.get(token) or self._verify_first_time(token, known.keys)
            known.remember(token, claims)
        at = self._clock() if now is None else now
        self._check_moment(claims, at)
        if (None if claims.cnf is None else claims.cnf.jkt) != proven_key:
            raise ClaimRejected("cnf: the token is bound to a key that was not proven, or not to the proven key")
        if self._revocations is not None:
            self._revocations.check(claims, at)
        return claims

    async def verify_async(self, token: str) -> AccessToken:
        """Like `verify`. Awaits revocations that are being fetched."""
        try:
            return self.verify(token)
        except OnTheirWay as revocations:
            await revocations.arrival()
        return self.verify(token)

    def verify_for(self, token: str, audiences: Collection[str], *, now: float | None = None) -> AccessToken:
        """Like `verify`, but for one of several audiences: ``aud`` must equal or contain one of ``audiences``.

        Use it only for introspection (RFC 7662), never to admit a caller. It returns tokens that are bound to a key
        without checking a proof: the client reads ``cnf`` in the answer and checks the proof itself (RFC 9449 §6.2).
        Results are not cached, because a result for one audience must not count for another.
        """
        claims = self._verify_signed(token, self._known.keys)
        named = {claims.aud} if isinstance(claims.aud, str) else claims.aud
        if not set(audiences).intersection(named):
            raise ClaimRejected("aud: a token for another audience")
        at = self._clock() if now is None else now
        self._check_moment(claims, at)
        if self._revocations is not None:
            self._revocations.check(claims, at)
        return claims

    def issued(self, token: str) -> AccessToken:
        """The claims of a token that the issuer signed, even if it has expired, was revoked or is for another audience.

        Use it only to end what the token stands for, never to admit a caller.

        Raises:
            InvalidToken: as `verify`, except for audience, time and revocation.
        """
        return self._verify_signed(token, self._known.keys)

    def _verify_first_time(self, token: str, keys: KeySet) -> AccessToken:
        claims = self._verify_signed(token, keys)
        if claims.aud != self._audience and (isinstance(claims.aud, str) or self._audience not in claims.aud):
            raise ClaimRejected("aud: a token for another audience")
        return claims

    def _verify_signed(self, token: str, keys: KeySet) -> AccessToken:
        """Checks everything that can never change, except the audience."""
        claims = decode_access_token(verify(token, keys, typ=ACCESS_TOKEN_TYPE).payload)
        if claims.iss != self._issuer:
            raise ClaimRejected("iss: a token of another issuer")
        if not 0 < claims.exp - claims.iat <= MAX_LIFETIME:
            raise ClaimRejected(f"exp: the token must expire after iat, and at most {MAX_LIFETIME} seconds later")
        if claims.auth_time > claims.iat + self._leeway:
            raise ClaimRejected("auth_time: the token was issued before the sign-in that it names")
        return claims

    def _check_moment(self, claims: AccessToken, now: float) -> None:
        """Checks the times. Each comparison is written so that it fails if the clock returns NaN."""
        if not now < claims.exp + self._leeway:  # RFC 7519 §4.1.4: expired on or after exp
            raise TokenExpired("exp: the token has expired")
        latest_start = now + self._leeway
        if not claims.iat <= latest_start:
            raise ClaimRejected("iat: the token is not valid yet")
        if not (claims.nbf is None or claims.nbf <= latest_start):
            raise ClaimRejected("nbf: the token is not valid yet")


class _KnownTokens:
    """A cache of verified tokens: the whole text → its claims.

    The cache has two halves. When the younger half is full, it becomes the old one. Tokens that were used since then
    are copied back, and the others are dropped with the previous old half.
    """

    __slots__ = ("keys", "old", "young")

    def __init__(self, keys: KeySet) -> None:
        self.keys = keys
        self.young: dict[str, AccessToken] = {}
        self.old: dict[str, AccessToken] = {}

    def remember(self, token: str, claims: AccessToken) -> None:
        if len(self.young) >= CACHED_TOKENS // 2:
            self.old, self.young = self.young, {}
        self.young[token] = claims
