"""A cache for a value that an issuer publishes.

The value is fetched when it is first needed and renewed before it expires. During an outage it is used a while longer.
"""

import math
import threading
from collections.abc import Callable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar, final

from ostiary.errors import Unavailable
from ostiary.verifier.limits import is_within
from ostiary.verifier.remote.fetch import FetchFailed
from ostiary.verifier.remote.flights import Flight, Steps, new_flight

RENEWAL: Final = 0.75  # share of the lifetime after which a new value is fetched in the background
OUTAGE: Final = 300.0  # seconds after a failed fetch during which callers do not wait for the next one
COOL_DOWN_WITHOUT: Final = 5.0  # seconds between fetches while there is no usable value and every token is refused
ABANDONED: Final = 60.0  # seconds after which a flight is replaced: its thread is gone (fork) or stuck in the resolver

_PENDING: Final = "no answer yet"

T = TypeVar("T")


class Loaded(NamedTuple, Generic[T]):
    """A fetched value. Both times are in seconds and start at the request."""

    value: T
    lifetime: float
    """After this time, callers wait for a new value, unless the issuer was unreachable a short time ago."""
    end: float
    """After this time, the value is never used."""


class _Held(NamedTuple, Generic[T]):
    """A value, when it was requested on the monotonic clock, and the ages in seconds at which its state changes."""

    value: T
    since: float
    renewal: float
    lifetime: float
    end: float


@final
class Kept(Generic[T]):
    """Caches one value that ``load`` fetches. Usable from threads and event loops. Only one flight runs at a time.

    Args:
        load: Fetches the value, or raises FetchFailed. Runs in its own thread, named ``ostiary-fetch``.
        name: Names the value in errors, such as "the keys of https://auth.example.com".
        event: The name of the log event for a failed fetch.
        fields: The fields of that log event, in addition to ``reason``.
        error: The error to raise if there is no usable value.
        cool_down: Seconds between two fetches.
        monotonic: Returns seconds of a clock that is never adjusted.
        admit: (new value, previous value or None) → the value to cache. Never called by two threads at once.
    """

    def __init__(
        self,
        load: Callable[[], Loaded[T]],
        *,
        name: str,
        event: str,
        fields: Mapping[str, str],
        error: type[Unavailable],
        cool_down: float,
        monotonic: Callable[[], float],
        admit: Callable[[T, T | None], T] = lambda new, _: new,
    ) -> None:
        self._load = load
        self._name = name
        self._event = event
        self._fields = fields
        self._error = error
        self._cool_down = cool_down
        self._monotonic = monotonic
        self._admit = admit
        self._lock = threading.Lock()
        self._held: _Held[T] | None = None
        self._flight: Flight | None = None
        self._departed = float("-inf")  # when the last flight started
        self._failed_at: float | None = None  # None if the last flight that arrived brought a value
        self._reason = _PENDING  # why there is no value, if there is none

    @property
    def value(self) -> T | None:
        """The value that was fetched last, however long ago. None: nothing was fetched yet."""
        return None if self._held is None else self._held.value

    def at_hand(self) -> T | None:
        """The value, or None if it is missing or due for renewal."""
        held = self._held
        if held is not None and is_within(self._monotonic() - held.since, held.renewal):
            return held.value
        return None

    def get(self) -> Steps[T]:
        """The value, fetched first if necessary. Raises ``error`` if there is no usable value."""
        held, now = self._held, self._monotonic()
        if held is not None and is_within(now - held.since, held.renewal):
            return held.value
        flight = self._depart(now)
        if flight is not None and self._must_arrive(held, now):
            yield flight
            held, now = self._held, self._monotonic()
        if held is None or not is_within(now - held.since, held.end):
            raise self.unavailable()
        return held.value

    def renew(self, *, cool_down: float | None = None) -> Steps[bool]:
        """Fetches the value unless that was done recently. Returns whether the cached value is certainly the newest.

        Args:
            cool_down: Replaces the usual cool-down. Only for requests that strangers cannot trigger.
        """
        flight = self._depart(self._monotonic(), cool_down)
        if flight is not None:
            yield flight
        return self._failed_at is None and (flight is None or flight.done())

    def change(self) -> None:
        """Passes the cached value to ``admit`` again. Call it when the rules of ``admit`` have changed."""
        with self._lock:
            if self._held is not None:
                self._held = self._held._replace(value=self._admit(self._held.value, self._held.value))

    def unavailable(self) -> Unavailable:
        now = self._monotonic()
        pause = self._pause(now)
        wait = min(self._departed + pause - now, pause)
        return self._error(f"{self._name} could not be fetched: {self._reason}", retry_after=math.ceil(wait))

    def _must_arrive(self, held: _Held[T] | None, now: float) -> bool:
        """Whether the caller must wait for the flight.

        An expired value is used only while the issuer is unreachable, because the issuer may have withdrawn it.
        """
        if held is None or not is_within(now - held.since, held.end):
            return True
        is_outage = self._failed_at is not None and is_within(now - self._failed_at, OUTAGE)
        return not is_within(now - held.since, held.lifetime) and not is_outage

    def _depart(self, now: float, cool_down: float | None = None) -> "Flight | None":
        """The current flight, or a new one, or None during the cool-down."""
        with self._lock:
            age = now - self._departed
            if self._flight is not None and is_within(age, ABANDONED):
                return self._flight
            if is_within(age, self._pause(now) if cool_down is None else cool_down):
                return None
            self._departed = now
            self._flight = flight = new_flight()
        try:
            threading.Thread(target=self._fly, args=(flight,), name="ostiary-fetch", daemon=True).start()
        except RuntimeError:
            self._arrive(flight, None, reason="the system cannot start another thread")
        return flight

    def _pause(self, now: float) -> float:
        has_one = self._held is not None and is_within(now - self._held.since, self._held.end)
        return self._cool_down if has_one else min(self._cool_down, COOL_DOWN_WITHOUT)

    def _fly(self, flight: Flight) -> None:
        loaded, reason = None, "an unexpected error"
        try:
            loaded = self._load()
        except FetchFailed as problem:
            reason = str(problem)
            _log_failure(self._event, {**self._fields, "reason": reason})
        finally:  # also after an unexpected error, so that no caller waits in vain
            self._arrive(flight, loaded, reason=reason)

    def _arrive(self, flight: Flight, loaded: Loaded[T] | None, *, reason: str) -> None:
        with self._lock:
            if flight is self._flight:  # otherwise it was abandoned, and its value may be older than the cached one
                self._flight = None
                self._failed_at = self._monotonic() if loaded is None else None
                self._reason = reason if loaded is None else _PENDING
                self._held = self._held if loaded is None else self._holding(loaded)
        flight.set_result(None)

    def _holding(self, loaded: Loaded[T]) -> _Held[T]:
        # times start at the request, because the answer was made at some time after it
        value = self._admit(loaded.value, self.value)
        return _Held(value, self._departed, RENEWAL * loaded.lifetime, loaded.lifetime, loaded.end)


def _log_failure(event: str, fields: Mapping[str, str]) -> None:
    # imported late: verifying with local keys does not need it
    import logging  # noqa: PLC0415

    logging.getLogger("ostiary").warning(event, extra=fields)
