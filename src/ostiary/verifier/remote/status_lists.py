"""Revocation by Token Status Lists. Each token names its place in a list that the issuer signs and publishes."""

import math
import threading
import time
from collections.abc import Callable
from typing import Final, final

from ostiary.errors import ClaimRejected, ConfigurationError, OstiaryError, RevocationsUnknown, TokenRevoked
from ostiary.jose import KeySet
from ostiary.verifier.access_token import AccessToken
from ostiary.verifier.limits import LEEWAY, check_leeway
from ostiary.verifier.remote.fetch import FetchFailed
from ostiary.verifier.remote.flights import OnTheirWay, finish
from ostiary.verifier.remote.kept import Kept, Loaded
from ostiary.verifier.remote.keys import COOL_DOWN_OF_ISSUER, MAX_AGE, RemoteKeys
from ostiary.verifier.remote.source import DEADLINE
from ostiary.verifier.remote.url import Url
from ostiary.verifier.revocations import WhenStale, check_when_stale
from ostiary.verifier.status_list import STATUS_LIST_MEDIA_TYPE, VALID, StatusList, StatusListClaims, verify_status_list

MAX_LISTS: Final = 64  # for one issuer; a list is 128 KiB for a million tokens, and at most one MiB
COOL_DOWN: Final = 5.0  # seconds between fetches of one list
DEFAULT_TTL: Final = 60  # seconds, if a list does not say
LEAST_TTL: Final = 5
MOST_TTL: Final = 3600


@final
class StatusLists:
    """`Revocations` from the status lists that tokens name in their ``status`` claim.

    A token without that claim is not revoked. A list is fetched when the first token names it, and then renewed in the
    background. While a list cannot be fetched, its tokens are refused with 503. The constructor does not connect to
    anything. Usable from threads and event loops.

    Args:
        keys: The issuer's keys. Its lists must be signed with them and be at the issuer's own origin.
        when_stale: ``serve`` continues with a list that has expired and cannot be renewed. It never admits a token
            without a list.
        leeway: Seconds by which the issuer's clock may differ from ours: 0 to `ostiary.verifier.MAX_LEEWAY`.
        clock: Returns seconds since the epoch.
        monotonic: Returns seconds of a clock that is never adjusted.

    Raises:
        ConfigurationError: a parameter is not valid.
    """

    def __init__(
        self,
        keys: RemoteKeys,
        *,
        when_stale: WhenStale = "refuse",
        leeway: int = LEEWAY,
        clock: Callable[[], float] = time.time,  # noqa: TID251 - the library's user has no other clock to give
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        check_when_stale(when_stale)
        check_leeway(leeway)
        self._keys = keys
        self._serves_stale = when_stale == "serve"
        self._leeway = leeway
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._lists: Final[dict[str, Kept[StatusList]]] = {}

    def check(self, token: AccessToken, _now: float, /) -> None:
        """As `ostiary.verifier.Revocations.check`.

        Waits for a list that is not known yet, a few seconds at most. In an event loop it raises instead of waiting, so
        that `verify_async` can wait.

        Raises:
            TokenRevoked: the token's status is set, to any value.
            ClaimRejected: the token does not name a place in a list of its issuer.
            RevocationsUnknown: the list cannot be fetched.
        """
        if token.status is None:
            return
        place = token.status.status_list
        kept = self._lists.get(place.uri) or self._new(place.uri)
        known = kept.at_hand()
        if known is None:
            known = finish(kept.get(), in_event_loop=OnTheirWay)
        try:
            status = known.status(place.idx)
        except IndexError:
            raise ClaimRejected("status: the issuer's status list has no entry at this index") from None
        if status != VALID:
            raise TokenRevoked("status: the token is marked as not valid in the issuer's status list")

    def _new(self, uri: str) -> Kept[StatusList]:
        try:
            url = self._keys.source.own_url(uri)
        except ConfigurationError:
            raise ClaimRejected("status: the status list is not at the issuer's own origin") from None
        source = _ListSource(self._keys, uri, url, leeway=self._leeway, clock=self._clock)
        kept = Kept(
            source.load_for_ever if self._serves_stale else source.load,
            name=f"the status list {uri}",
            event="status_list.fetch_failed",
            fields={"url": uri},
            error=RevocationsUnknown,
            cool_down=COOL_DOWN,
            monotonic=self._monotonic,
        )
        with self._lock:
            if uri not in self._lists and len(self._lists) >= MAX_LISTS:
                del self._lists[next(iter(self._lists))]  # the oldest: new sessions use newer lists
            return self._lists.setdefault(uri, kept)


class _ListSource:
    """Loads one list."""

    def __init__(self, keys: RemoteKeys, uri: str, url: Url, *, leeway: int, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._uri = uri
        self._url = url
        self._leeway = leeway
        self._clock = clock
        self._newest = 0  # iat of the newest list so far

    def load(self) -> Loaded[StatusList]:
        """Loads the list within `DEADLINE`. It may be used until it expires. Raises FetchFailed."""
        document = self._keys.source.get(
            self._url, until=time.monotonic() + DEADLINE, media_type=STATUS_LIST_MEDIA_TYPE
        )
        try:
            statuses, claims = self._verified(document.body.decode("ascii"))
        except (UnicodeError, OstiaryError) as problem:
            raise FetchFailed(f"the answer is not a valid status list of this issuer: {_reason(problem)}") from None
        if claims.iat < self._newest - self._leeway:  # replayed by an attacker, or one of the issuer's nodes is stuck
            raise FetchFailed("iat: the status list is older than the previous one")
        self._newest = claims.iat
        return Loaded(statuses, *self._times(claims))

    def load_for_ever(self) -> Loaded[StatusList]:
        """Like `load`, but the list may be used until it is replaced."""
        return self.load()._replace(end=math.inf)

    def _verified(self, token: str) -> tuple[StatusList, StatusListClaims]:
        def check(keys: KeySet) -> tuple[StatusList, StatusListClaims]:
            now = self._clock()
            return verify_status_list(
                token, keys, issuer=self._keys.issuer, uri=self._uri, now=now, leeway=self._leeway
            )

        return finish(self._keys.steps(token, check, cool_down=COOL_DOWN_OF_ISSUER))

    def _times(self, claims: StatusListClaims) -> tuple[float, float]:
        """The seconds for which the list is fresh, and for which it is usable. Both start at the request."""
        # by the issuer's clock and by ours, whichever is less
        end = min(claims.exp - claims.iat, claims.exp + self._leeway - self._clock(), MAX_AGE)
        fresh = DEFAULT_TTL if claims.ttl is None else min(max(claims.ttl, LEAST_TTL), MOST_TTL)
        return min(fresh, end), end


def _reason(problem: Exception) -> str:
    return problem.detail if isinstance(problem, OstiaryError) else "it is not ASCII"
