"""Revocation by an issuer's signed feed. A thread polls the feed and receives revocations almost immediately."""

import os
import threading
import time
from collections.abc import Callable
from typing import Final, final

from ostiary.errors import ConfigurationError, InvalidToken, OstiaryError, RevocationsUnknown
from ostiary.verifier import feed_message
from ostiary.verifier.feed_message import FeedEntry, FeedMessage
from ostiary.verifier.limits import LEEWAY, check_leeway
from ostiary.verifier.remote.client_credentials import ClientCredentials
from ostiary.verifier.remote.feed_source import FeedSource
from ostiary.verifier.remote.fetch import FetchFailed
from ostiary.verifier.remote.flights import Flight, OnTheirWay, Steps, finish, new_flight
from ostiary.verifier.remote.keys import RemoteKeys
from ostiary.verifier.revocations import KnownRevocations, WhenStale

STALE_AFTER: Final = 10.0  # seconds without an answer after which tokens are refused by default
LEAST_STALE_AFTER: Final = 3.0
MOST_STALE_AFTER: Final = 75.0
WAITING: Final = 0.4
"""The share of ``stale_after`` for which the issuer is asked to wait for news.

An answer is at least as new as its request. Two requests and their travel times must therefore fit into that time.
"""

BREATH: Final = 0.02  # seconds between two requests, in case the issuer answers immediately although there is no news
LEAST_RETRY: Final = 0.1  # seconds after the first failure; doubled after each further failure
MOST_RETRY: Final = 5.0
FORGETTING: Final = 60  # seconds between two clean-ups of ended entries


@final
class RevocationFeed:
    """`Revocations` from the feed of a remote Ostiary, received as they happen.

    The feed also reports revoked keys. A revoked key verifies no token from then on.

    The first verification starts a daemon thread and waits for the complete snapshot. `close` stops the thread. After
    ``stale_after`` seconds without an answer, every token is refused with 503. The constructor does not connect to
    anything. Usable from threads and event loops, and in forked processes.

    Args:
        keys: The issuer's keys. The feed must be signed with them and be at the issuer's own origin.
        credentials: The credentials of a client that is registered at the issuer.
        when_stale: ``serve`` continues with the known revocations. It never admits a token before the first snapshot is
            complete.
        stale_after: The maximum number of seconds for which a revocation may be unknown, from `LEAST_STALE_AFTER` to
            `MOST_STALE_AFTER`.
        leeway: Seconds by which the issuer's clock may differ from ours: 0 to `ostiary.verifier.MAX_LEEWAY`.
        clock: Returns seconds since the epoch.
        monotonic: Returns seconds of a clock that is never adjusted.

    Raises:
        ConfigurationError: a parameter is not valid.
    """

    def __init__(
        self,
        keys: RemoteKeys,
        credentials: ClientCredentials,
        *,
        when_stale: WhenStale = "refuse",
        stale_after: float = STALE_AFTER,
        leeway: int = LEEWAY,
        clock: Callable[[], float] = time.time,  # noqa: TID251 - the library's user has no other clock to give
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        check_leeway(leeway)
        if not isinstance(credentials, ClientCredentials):
            raise ConfigurationError("credentials must be ClientCredentials(client_id, client_secret)")
        if not LEAST_STALE_AFTER <= stale_after <= MOST_STALE_AFTER:
            raise ConfigurationError(f"stale_after must be {LEAST_STALE_AFTER:g} to {MOST_STALE_AFTER:g} seconds")
        self._keys = keys
        self._source = FeedSource(keys, credentials, leeway=leeway, clock=clock)
        self._stale_after = stale_after
        self._leeway = leeway
        self._monotonic = monotonic
        self._known = KnownRevocations(fresh=self._fresh_or_started, when_stale=when_stale)
        self.check: Final = self._known.check
        """As `ostiary.verifier.Revocations.check`.

        The first call starts the feed and waits for it, a few seconds at most. In an event loop it raises instead of
        waiting, so that `verify_async` can wait.
        """
        self._lock = threading.Lock()
        self._follower: _Follower | None = None
        self._is_closed = False
        self._is_known = False  # whether a complete snapshot was received at some time
        self._fresh_until = float("-inf")
        self._forgotten_at = 0

    @property
    def is_fresh(self) -> bool:
        """Whether all revocations up to a few seconds ago are known."""
        return self._monotonic() < self._fresh_until

    def started(self) -> Steps[bool]:
        """Starts the feed if needed, waits for its first answer, and returns whether the feed is up to date.

        Raises:
            RevocationsUnknown: no complete snapshot has been received yet.
        """
        follower = self._following()
        if not follower.answered.done():
            yield follower.answered
        if not self._is_known:
            raise RevocationsUnknown(f"the feed of {self._keys.issuer} has not been received yet: see the log for why")
        return self.is_fresh

    def close(self) -> None:
        """Stops the thread once its pending request is answered. From now on, the feed counts as stale."""
        with self._lock:
            self._is_closed = True
            follower = self._follower
        if follower is not None:
            follower.ended.set()
        self._fresh_until = float("-inf")

    def _fresh_or_started(self) -> bool:
        return self._monotonic() < self._fresh_until or finish(self.started(), in_event_loop=OnTheirWay)

    def _following(self) -> "_Follower":
        with self._lock:
            follower = self._follower
            if not self._is_closed and (follower is None or not follower.is_alive()):  # also in a forked process
                self._follower = follower = _Follower(self._hear, self._keys.issuer)
                try:
                    follower.start()
                except RuntimeError:
                    follower.answered.set_result(None)  # the system cannot start a thread: the next call tries again
            if follower is None:
                raise RevocationsUnknown("the feed was closed: create a new verifier")
            return follower

    def _hear(self, follower: "_Follower") -> None:
        """Makes one request and applies its answer.

        The position advances only after the answer was applied. A process that is forked in between requests it again.
        """
        asked_at = self._monotonic()
        try:
            message = self._source.next_message(wait=int(WAITING * self._stale_after) if self.is_fresh else 0)
        except InvalidToken:  # the feed was forged, replayed or is inconsistent: start again with a snapshot
            self._source.restart()
            self._fresh_until = float("-inf")
            raise
        self._apply(message)
        self._source.advance(message)
        if not message.more:
            self._is_known = True
            self._fresh_until = asked_at + self._stale_after
            follower.land()
        if follower.ended.is_set():  # checked last: `close` sets it first, so the feed ends up stale in either order
            self._fresh_until = float("-inf")

    def _apply(self, message: FeedMessage) -> None:
        for entry in message.entries:
            self._take(entry)
        if message.iat >= self._forgotten_at + FORGETTING:
            # Uses the issuer's clock, which set the times. If our clock is behind, we accept tokens a little longer.
            self._known.forget(message.iat - 2 * self._leeway)
            self._forgotten_at = message.iat

    def _take(self, entry: FeedEntry) -> None:
        match entry.kind:
            case feed_message.SESSION_ENDED:
                self._known.end_session(entry.key, entry.until)
            case feed_message.EPOCH_RAISED:
                self._known.raise_epoch(entry.key, entry.value, entry.until)
            case feed_message.TOKEN_REVOKED:
                self._known.revoke_token(entry.key, entry.until)
            case feed_message.EVERYTHING:
                self._known.raise_everything(entry.value)
            case feed_message.KEY_REVOKED:
                self._keys.withdraw(entry.key)
            case _:
                pass  # a kind of a later version


class _Follower(threading.Thread):
    """The thread that polls the feed. After each further failure it waits longer."""

    def __init__(self, hear: Callable[["_Follower"], None], issuer: str) -> None:
        super().__init__(name="ostiary-feed", daemon=True)
        self._hear = hear
        self._issuer = issuer
        self._failures = 0
        self.ended: Final = threading.Event()
        self.answered: Final[Flight] = new_flight()
        """Done as soon as the snapshot is complete, or after the first failure."""

    def run(self) -> None:
        try:
            while not self.ended.is_set():
                self.ended.wait(self._hear_once())
        finally:
            self.land()

    def land(self) -> None:
        if not self.answered.done():
            self.answered.set_result(None)

    def _hear_once(self) -> float:
        """Makes one request. Returns the number of seconds to wait before the next one."""
        try:
            self._hear(self)
        except Exception as problem:  # noqa: BLE001 — if this thread ended, every token would be refused
            self._failures += 1
            if self._failures == 1:
                _log_failure(self._issuer, _reason(problem))
            self.land()
            return _jittered(min(LEAST_RETRY * 2 ** min(self._failures - 1, 10), MOST_RETRY))
        self._failures = 0
        return BREATH


def _jittered(seconds: float) -> float:
    """A random time from half to all of ``seconds``.

    Services that lost the same issuer at the same moment then do not all return at once.
    """
    return seconds * (0.5 + os.urandom(1)[0] / 512)


def _reason(problem: Exception) -> str:
    """The message of our own errors. Of other errors only the type, because their messages may quote a secret."""
    if isinstance(problem, OstiaryError):
        return problem.detail
    return str(problem) if isinstance(problem, FetchFailed) else type(problem).__name__


def _log_failure(issuer: str, reason: str) -> None:
    # imported late: verifying with local keys does not need it
    import logging  # noqa: PLC0415

    extra = {"issuer": issuer, "reason": reason}
    logging.getLogger("ostiary").warning("revocation_feed.fetch_failed", extra=extra)
