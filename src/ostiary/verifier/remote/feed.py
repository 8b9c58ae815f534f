"""Revocation by an issuer's signed feed: a thread that asks what is new, and is told within a moment."""

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

STALE_AFTER: Final = 10.0  # seconds after which nobody is let in by what was known then, unless told otherwise
LEAST_STALE_AFTER: Final = 3.0
MOST_STALE_AFTER: Final = 75.0
WAITING: Final = 0.4
"""Of that time: for so long the issuer is asked to wait for news. An answer is at least as new as its question, so two
of them have to fit in, and the time that they travel."""

BREATH: Final = (
    0.02  # seconds between two questions: an issuer that answers at once, with nothing, is not asked for ever
)
LEAST_RETRY: Final = 0.1  # seconds after a failure; twice as many after each further one
MOST_RETRY: Final = 5.0
FORGETTING: Final = 60  # seconds from one time to the next


@final
class RevocationFeed:
    """The `Revocations` that an Ostiary elsewhere tells its clients of as they happen. Keys too: one that it revokes
    verifies nothing from then on.

    The first verification starts a daemon thread, and waits until everything is known; `close` ends it. When nothing
    was heard for ``stale_after`` seconds, every token is refused with 503. Constructing it connects to nothing. Usable
    from threads and event loops, and in processes that were forked.

    Args:
        keys: The issuer's. The feed must be signed with them, and be at its own origin.
        credentials: Of a client that the issuer knows.
        when_stale: ``serve`` goes on with what is known. It never does before everything was known once.
        stale_after: Seconds: for so long, at most, a revocation may be unknown. `LEAST_STALE_AFTER` to
            `MOST_STALE_AFTER`.
        leeway: Seconds by which the issuer's clock may differ from ours: 0 to `ostiary.verifier.MAX_LEEWAY`.
        clock: Seconds since the epoch.
        monotonic: Seconds by a clock that is never set.

    Raises:
        ConfigurationError: a parameter that is none of these.
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
            raise ConfigurationError("a feed needs ClientCredentials(client_id, client_secret)")
        if not LEAST_STALE_AFTER <= stale_after <= MOST_STALE_AFTER:
            raise ConfigurationError(f"stale_after is from {LEAST_STALE_AFTER:g} to {MOST_STALE_AFTER:g} seconds")
        self._keys = keys
        self._source = FeedSource(keys, credentials, leeway=leeway, clock=clock)
        self._stale_after = stale_after
        self._leeway = leeway
        self._monotonic = monotonic
        self._known = KnownRevocations(fresh=self._fresh_or_started, when_stale=when_stale)
        self.check: Final = self._known.check
        """As `ostiary.verifier.Revocations.check`. It starts the feed and waits for it, a few seconds at most; where an
        event loop runs, it raises instead, so that `verify_async` can wait."""
        self._lock = threading.Lock()
        self._follower: _Follower | None = None
        self._is_closed = False
        self._is_known = False  # everything was, at some time
        self._fresh_until = float("-inf")
        self._forgotten_at = 0

    @property
    def is_fresh(self) -> bool:
        """Whether it is known what was revoked up to a few seconds ago."""
        return self._monotonic() < self._fresh_until

    def started(self) -> Steps[bool]:
        """Whether the feed is fresh, once it was asked for the first time.

        Raises:
            RevocationsUnknown: it never was.
        """
        follower = self._following()
        if not follower.answered.done():
            yield follower.answered
        if not self._is_known:
            raise RevocationsUnknown(f"the feed of {self._keys.issuer} is not known")
        return self.is_fresh

    def close(self) -> None:
        """Ends the thread, when the answer has come that it waits for. Nothing is fresh any more."""
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
                    follower.answered.set_result(None)  # the system has no thread left: the next one tries again
            if follower is None:
                raise RevocationsUnknown("the feed was closed")
            return follower

    def _hear(self, follower: "_Follower") -> None:
        """One question and its answer. An answer is applied before it counts as known, so that a process that is forked
        in between asks for it again."""
        asked_at = self._monotonic()
        try:
            message = self._source.next_message(wait=int(WAITING * self._stale_after) if self.is_fresh else 0)
        except InvalidToken:  # somebody, or something, does not tell the truth
            self._source.restart()
            self._fresh_until = float("-inf")
            raise
        self._apply(message)
        self._source.advance(message)
        if not message.more:
            self._is_known = True
            self._fresh_until = asked_at + self._stale_after
            follower.land()
        if follower.ended.is_set():  # asked last: `close` sets it first, so that one of the two closes in any case
            self._fresh_until = float("-inf")

    def _apply(self, message: FeedMessage) -> None:
        for entry in message.entries:
            self._take(entry)
        if message.iat >= self._forgotten_at + FORGETTING:
            # By the clock that has set the times. Ours may be behind it, and lets a token in for a while after its end.
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
                pass  # of a later version


class _Follower(threading.Thread):
    """The thread: it hears, again and again, and after a failure waits a little longer each time."""

    def __init__(self, hear: Callable[["_Follower"], None], issuer: str) -> None:
        super().__init__(name="ostiary-feed", daemon=True)
        self._hear = hear
        self._issuer = issuer
        self._failures = 0
        self.ended: Final = threading.Event()
        self.answered: Final[Flight] = new_flight()
        """Arrives with the first thing that is worth waiting for: everything is known, or a failure."""

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
        """How many seconds to wait before the next time."""
        try:
            self._hear(self)
        except Exception as problem:  # noqa: BLE001 — a thread that ended would keep everybody out
            self._failures += 1
            if self._failures == 1:
                _log_failure(self._issuer, _reason(problem))
            self.land()
            return _jittered(min(LEAST_RETRY * 2 ** min(self._failures - 1, 10), MOST_RETRY))
        self._failures = 0
        return BREATH


def _jittered(seconds: float) -> float:
    """Half of it to all of it: services that lost one issuer at one moment must not all return at another."""
    return seconds * (0.5 + os.urandom(1)[0] / 512)


def _reason(problem: Exception) -> str:
    """Our own words where they are ours; of anything else no more than its name, for it might quote a secret."""
    if isinstance(problem, OstiaryError):
        return problem.detail
    return str(problem) if isinstance(problem, FetchFailed) else type(problem).__name__


def _log_failure(issuer: str, reason: str) -> None:
    # who verifies with keys at hand follows nothing: imported by those who do
    import logging  # noqa: PLC0415

    logging.getLogger("ostiary").warning("the feed of %s could not be read, and is tried again: %s", issuer, reason)
