"""`Verifier`: a token's text in, an `AccessToken` out, or an error of the `ostiary.errors.InvalidToken` family."""

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
    """Verifies access tokens of one issuer for one audience. Usable from many threads. Does no I/O; it waits only where
    ``revocations`` have to be fetched first.

    Everything about a token is checked every time, except its signature and the types of its claims: those cannot
    change, and are remembered for a bounded number of texts, until the keys are replaced.

    Args:
        keys: The issuer's keys: a `KeySet`, or the keys of one.
        issuer: What ``iss`` must be, to the letter.
        audience: What ``aud`` must be or contain, to the letter.
        leeway: Seconds by which the issuer's clock may differ from ours: 0 to `MAX_LEEWAY`.
        revocations: Asked for every token. None: tokens are good until they expire.
        clock: Seconds since the epoch.

    Raises:
        ConfigurationError: a parameter with which nothing could be verified safely.
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
        """A verifier that gets the issuer's keys and revocations by itself. Nothing is fetched before the first token,
        or `refresh`.

        Args:
            jwks_uri, openid, networks, ca_file, development: How the keys are found: see `RemoteKeys`.
            feed: Who we are at the issuer, to be told of revocations as they happen: see `RevocationFeed`. None: tokens
                are looked up in the lists that they name: see `StatusLists`.
            when_stale: What happens while neither can be known: see `WhenStale`.
            revocations: Asked for every token, instead of both.

        Raises:
            ConfigurationError: a parameter with which nothing could be verified safely, or two that exclude each other.
        """
        source = RemoteKeys(
            issuer, jwks_uri=jwks_uri, openid=openid, networks=networks, ca_file=ca_file, development=development
        )
        if revocations is not None and (feed is not None or when_stale != "refuse"):
            raise ConfigurationError("feed and when_stale are for who passes no revocations")
        follower = None
        if feed is not None:
            revocations = follower = RevocationFeed(source, feed, when_stale=when_stale, leeway=leeway, clock=clock)
        elif revocations is None:
            revocations = StatusLists(source, when_stale=when_stale, leeway=leeway, clock=clock)

        def made_with(keys: KeySet) -> Verifier:
            return cls(keys=keys, issuer=issuer, audience=audience, leeway=leeway, revocations=revocations, clock=clock)

        return RemoteVerifier(source, made_with, feed=follower)

    def replace_keys(self, keys: Iterable[Key]) -> None:
        """Verifies with ``keys`` from now on. What was verified with the former ones is forgotten.

        Raises:
            KeyRejected: the keys are ambiguous. The former ones stay.
        """
        # One assignment: a thread that is still verifying with the old keys remembers its result among the old ones.
        self._known = _KnownTokens(KeySet(keys))

    def now(self) -> float:
        """What the clock says, in seconds since the epoch."""
        return self._clock()

    def verify(self, token: str, *, now: float | None = None, proven_key: str | None = None) -> AccessToken:
        """The claims of ``token``, if it is good at this moment.

        Args:
            now: Seconds since the epoch; by default what the clock says.
            proven_key: The thumbprint of the key whose possession the sender has proven (DPoP). A token bound to a key
                is good only with it, and with a proof no other token is.

        Raises:
            InvalidToken: one of its family. A bad signature is reported before anything that the claims say.
            RevocationsUnknown: it cannot be known whether the token was revoked.
        """
        claims = self._claims_of(token)
        at = self._clock() if now is None else now
        self._check_moment(claims, at)
        if (None if claims.cnf is None else claims.cnf.jkt) != proven_key:
            raise ClaimRejected("bound to a key that was not proven, or not bound to the key that was")
        if self._revocations is not None:
            self._revocations.check(claims, at)
        return claims

    async def verify_async(self, token: str) -> AccessToken:
        """As `verify`. It awaits nothing but revocations that are being fetched."""
        try:
            return self.verify(token)
        except OnTheirWay as revocations:
            await revocations.arrival()
        return self.verify(token)

    def verify_for(self, token: str, audiences: Collection[str], *, now: float | None = None) -> AccessToken:
        """As `verify`, but for whoever asks on behalf of others: ``aud`` must be or contain one of ``audiences``.

        For introspection (RFC 7662). Who asks there sees ``cnf`` in the answer and checks the proof itself (RFC 9449
        §6.2), so a token that is bound to a key is returned without one: do not let anybody in by this method. Nothing
        is remembered, because what was verified for one audience must not count for another.
        """
        claims = self._verify_signed(token, self._known.keys)
        named = {claims.aud} if isinstance(claims.aud, str) else claims.aud
        if not set(audiences).intersection(named):
            raise ClaimRejected("for another audience")
        at = self._clock() if now is None else now
        self._check_moment(claims, at)
        if self._revocations is not None:
            self._revocations.check(claims, at)
        return claims

    def issued(self, token: str) -> AccessToken:
        """The claims of a token that the issuer signed, for whatever audience, though it may have expired or been
        revoked: to end what it stands for. It lets nobody in.

        Raises:
            InvalidToken: as `verify`, but for what audience, time and revocations say.
        """
        return self._verify_signed(token, self._known.keys)

    def _claims_of(self, token: str) -> AccessToken:
        if not isinstance(token, str) or len(token) > MAX_TOKEN:  # to look a giant up is to hash it
            raise MalformedToken("not a token, or too long for one")
        known = self._known
        claims = known.young.get(token)
        if claims is None:
            claims = known.old.get(token) or self._verify_first_time(token, known.keys)
            known.remember(token, claims)
        return claims

    def _verify_first_time(self, token: str, keys: KeySet) -> AccessToken:
        claims = self._verify_signed(token, keys)
        if claims.aud != self._audience and (isinstance(claims.aud, str) or self._audience not in claims.aud):
            raise ClaimRejected("for another audience")
        return claims

    def _verify_signed(self, token: str, keys: KeySet) -> AccessToken:
        """Everything that can never change, but for whom the token is."""
        claims = decode_access_token(verify(token, keys, typ=ACCESS_TOKEN_TYPE).payload)
        if claims.iss != self._issuer:
            raise ClaimRejected("of another issuer")
        if not 0 < claims.exp - claims.iat <= MAX_LIFETIME:
            raise ClaimRejected("no lifetime, or too long a one")
        if claims.auth_time > claims.iat + self._leeway:
            raise ClaimRejected("issued before the sign-in that it speaks of")
        return claims

    def _check_moment(self, claims: AccessToken, now: float) -> None:
        """Each test is written so that a clock that says NaN fails it."""
        if not now < claims.exp + self._leeway:  # RFC 7519 §4.1.4: on or after exp it is over
            raise TokenExpired("expired")
        latest_start = now + self._leeway
        if not claims.iat <= latest_start or not (claims.nbf is None or claims.nbf <= latest_start):
            raise ClaimRejected("not valid yet")


class _KnownTokens:
    """The claims of tokens that ``keys`` verified, by the whole text.

    There are two halves. When the younger is full it becomes the old one, and what nobody asked for since is gone.
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
