"""The keys of an issuer elsewhere: fetched when needed, kept through outages, for a bounded time.

A verification is written once, as steps without waiting: a generator that yields the flights it has to wait for.
`finish` and `finish_async` carry it out, in a thread or in an event loop.
"""

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, TypeVar, final

from ostiary.errors import BadSignature, Unavailable
from ostiary.jose import KeySet
from ostiary.jose import header as headers
from ostiary.verifier.remote.fetch import FetchFailed
from ostiary.verifier.remote.source import DEADLINE, IssuerSource, Loaded

if TYPE_CHECKING:
    from concurrent.futures import Future

DEFAULT_LIFETIME: Final = 300  # seconds that keys are kept when the issuer says nothing
LEAST_LIFETIME: Final = 60
MOST_LIFETIME: Final = 3600  # an issuer that withdraws a stolen key must not be bound by a max-age of a year
RENEWAL: Final = 0.75  # of the lifetime: from then on new keys are fetched while the old ones are used
MAX_AGE: Final = 6 * 3600
"""Seconds after which keys that could not be renewed verify nothing. An issuer's outage is bridged, a key that somebody
keeps us from seeing withdrawn is not trusted for longer."""

COOL_DOWN: Final = 30.0  # seconds between fetches, whatever the tokens name (GHSA-2gx3-rcp4-g85q)
COOL_DOWN_WITHOUT_KEYS: Final = 5.0  # seconds; nobody is let in meanwhile
OUTAGE: Final = 300.0  # seconds after a fetch has failed in which nobody waits for the next one
PATIENCE: Final = DEADLINE + 1.0  # seconds that a caller waits for a flight
ABANDONED: Final = 60.0  # seconds after which a flight whose thread is gone (fork) or stuck in the resolver is replaced

T = TypeVar("T")
Flight: TypeAlias = "Future[None]"
Steps: TypeAlias = Generator[Flight, None, T]


class _Held(NamedTuple):
    """Keys with the moments, by the monotonic clock, at which they change from one state to the next."""

    keys: KeySet
    renew_at: float
    expires_at: float
    ends_at: float


@final
class RemoteKeys:
    """The keys that ``issuer`` publishes. Constructing it connects to nothing. Usable from threads and event loops.

    Args:
        issuer: To the letter as in its tokens and metadata; an ``https`` URL.
        jwks_uri: Where the JWK Set is. None: where the issuer's metadata (RFC 8414) says, at the issuer's own origin.
        openid: Also looks for OpenID Connect's metadata, where the issuer has none of RFC 8414.
        networks: Networks beside the public internet in which the issuer may be, such as ``10.20.0.0/16``.
        ca_file: A PEM file with the certificate authorities to trust instead of the system's.
        development: Permits ``http`` for an issuer on the loopback interface.
        monotonic: Seconds by a clock that is never set.

    Raises:
        ConfigurationError: a URL, network or file that cannot be used.
    """

    def __init__(
        self,
        issuer: str,
        *,
        jwks_uri: str | None = None,
        openid: bool = False,
        networks: Iterable[str] = (),
        ca_file: str | os.PathLike[str] | None = None,
        development: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        source = IssuerSource(
            issuer, jwks_uri=jwks_uri, openid=openid, networks=networks, ca_file=ca_file, development=development
        )
        self.issuer: Final = issuer
        self._load = source.load
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._flight: Flight | None = None
        self._departed = float("-inf")  # when the last flight did
        self._failed_at: float | None = None  # None where the last flight that arrived brought keys

    def refresh(self) -> None:
        """Fetches the keys, unless that was done a moment ago: for the start, so that a wrong setting shows there.

        Raises:
            Unavailable: there are no keys that could be used.
        """
        finish(self._refresh())

    async def refresh_async(self) -> None:
        """As `refresh`, for event loops."""
        await finish_async(self._refresh())

    def steps(self, token: str, check: Callable[[KeySet], T]) -> Steps[T]:
        """What ``check`` makes of the issuer's keys. Where ``token`` names a key that is not among them, they are
        fetched, at most once in `COOL_DOWN` seconds, and it is asked again.

        Raises:
            Unavailable: the keys cannot be known. Whatever ``check`` raises.
        """
        keys = yield from self._current()
        try:
            return check(keys)
        except BadSignature:
            newer = yield from self._with_key_of(token, keys)
            if newer is None:
                raise
        return check(newer)

    def _current(self) -> Steps[KeySet]:
        held, now = self._held, self._monotonic()
        if held is not None and now < held.renew_at:
            return held.keys
        flight = self._depart(now)
        if flight is not None and self._must_arrive(held, now):
            yield flight
            held, now = self._held, self._monotonic()
        if held is None or now >= held.ends_at:
            raise self._unavailable(now)
        return held.keys

    def _must_arrive(self, held: _Held | None, now: float) -> bool:
        """Keys that have expired are used only while the issuer cannot be reached: it may have withdrawn one."""
        if held is None or now >= held.ends_at:
            return True
        is_outage = self._failed_at is not None and now < self._failed_at + OUTAGE
        return now >= held.expires_at and not is_outage

    def _with_key_of(self, token: str, keys: KeySet) -> Steps[KeySet | None]:
        """Newer keys with the one that ``token`` names, or None if the issuer has none of that name."""
        kid = headers.parse(token.partition(".")[0].encode("ascii")).kid
        if kid is None or kid in keys:
            return None
        flight = self._depart(self._monotonic())
        if flight is not None:
            yield flight
        held = self._held
        if held is not None and kid in held.keys:
            return held.keys
        if self._failed_at is not None or (flight is not None and not flight.done()):
            raise self._unavailable(self._monotonic())  # it may be new: then the token is good
        return None

    def _refresh(self) -> Steps[None]:
        flight = self._depart(self._monotonic())
        if flight is not None:
            yield flight
        yield from self._current()

    def _unavailable(self, now: float) -> Unavailable:
        wait = self._departed + self._pause(now) - now
        return Unavailable(f"the keys of {self.issuer} cannot be known", retry_after=math.ceil(wait))

    # -- flights: one at a time, whoever asks for it -------------------------------------------------------------------

    def _depart(self, now: float) -> "Flight | None":
        """The flight that is under way, or a new one, or None during the cool-down."""
        with self._lock:
            age = now - self._departed
            if self._flight is not None and age < ABANDONED:
                return self._flight
            if age < self._pause(now):
                return None
            self._departed = now
            self._flight = flight = _new_flight()
        try:
            threading.Thread(target=self._fly, args=(flight,), name="ostiary-keys", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            self._arrive(flight, None)
        return flight

    def _pause(self, now: float) -> float:
        return COOL_DOWN if self._held is not None and now < self._held.ends_at else COOL_DOWN_WITHOUT_KEYS

    def _fly(self, flight: Flight) -> None:
        loaded = None
        try:
            loaded = self._load()
        except FetchFailed as problem:
            _log_failure(self.issuer, str(problem))
        finally:  # also where something unforeseen ends this thread: nobody must wait for it in vain
            self._arrive(flight, loaded)

    def _arrive(self, flight: Flight, loaded: Loaded | None) -> None:
        with self._lock:
            if flight is self._flight:  # else it was given up, and what it brings may be older than what we have
                self._flight = None
                self._failed_at = self._monotonic() if loaded is None else None
                self._held = self._held if loaded is None else self._kept(loaded)
        flight.set_result(None)

    def _kept(self, loaded: Loaded) -> _Held:
        # counted from the departure: the answer was made at some time after it
        lifetime = DEFAULT_LIFETIME if loaded.max_age is None else loaded.max_age
        lifetime = min(max(lifetime, LEAST_LIFETIME), MOST_LIFETIME)
        start, keys = self._departed, loaded.keys
        if self._held is not None and self._held.keys.to_jwks() == keys.to_jwks():
            keys = self._held.keys  # the same object, so that what was verified with it stays known
        return _Held(keys, start + RENEWAL * lifetime, start + lifetime, start + MAX_AGE)


def finish(steps: Steps[T]) -> T:
    """Carries out a verification, waiting in this thread.

    Raises:
        Unavailable: it would have to wait in the thread of an event loop, and everybody there with it.
    """
    try:
        while True:
            flight = next(steps)
            if _runs_an_event_loop():
                raise Unavailable("the keys are being fetched, and an event loop cannot wait: use verify_async")
            _wait(flight)
    except StopIteration as done:
        result: T = done.value
        return result


async def finish_async(steps: Steps[T]) -> T:
    """Carries out a verification, letting others have their turn in the meantime."""
    # whoever awaits this has imported it
    import asyncio  # noqa: PLC0415

    try:
        while True:
            arrival = asyncio.wrap_future(next(steps))
            try:
                await asyncio.wait([arrival], timeout=PATIENCE)
            finally:
                arrival.cancel()  # no longer of interest; the flight itself goes on
    except StopIteration as done:
        result: T = done.value
        return result


def _runs_an_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")  # where nobody has imported it, no loop runs
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except (RuntimeError, AttributeError):  # the latter while another thread is importing it
        return False
    return True


def _wait(flight: Flight) -> None:
    # who verifies with keys at hand waits for nobody: imported by those who do
    from concurrent.futures import wait  # noqa: PLC0415

    wait([flight], timeout=PATIENCE)


def _new_flight() -> Flight:
    # as above
    from concurrent.futures import Future  # noqa: PLC0415

    flight: Flight = Future()
    flight.set_running_or_notify_cancel()  # one who is tired of waiting must not cancel it for the others
    return flight


def _log_failure(issuer: str, reason: str) -> None:
    # as above
    import logging  # noqa: PLC0415

    logging.getLogger("ostiary").warning("the keys of %s could not be fetched: %s", issuer, reason)
