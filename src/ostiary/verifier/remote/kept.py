"""What an issuer publishes, kept: fetched when needed, renewed before it is old, used through outages for a while."""

import math
import threading
from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar, final

from ostiary.errors import Unavailable
from ostiary.verifier.remote.fetch import FetchFailed
from ostiary.verifier.remote.flights import Flight, Steps, new_flight

RENEWAL: Final = 0.75  # of the lifetime: from then on a new one is fetched while the old one is used
OUTAGE: Final = 300.0  # seconds after a fetch has failed in which nobody waits for the next one
COOL_DOWN_WITHOUT: Final = 5.0  # seconds between fetches while there is nothing to use; nobody is let in meanwhile
ABANDONED: Final = 60.0  # seconds after which a flight whose thread is gone (fork) or stuck in the resolver is replaced

T = TypeVar("T")


class Loaded(NamedTuple, Generic[T]):
    """A value as it was fetched. Both times are seconds that count from when it was asked for."""

    value: T
    lifetime: float
    """After it, whoever needs the value waits for a new one, unless the issuer could not be reached lately."""
    end: float
    """After it, the value is not used in any case."""


class _Held(NamedTuple, Generic[T]):
    """A value with the moments, by the monotonic clock, at which it changes from one state to the next."""

    value: T
    renew_at: float
    expires_at: float
    ends_at: float


@final
class Kept(Generic[T]):
    """One value that ``load`` fetches. Usable from threads and event loops; one flight at a time, whoever asks for it.

    Args:
        load: Raises FetchFailed. Runs in a thread of its own, named ``ostiary-fetch``.
        name: What it is, for errors and logs: "the keys of https://auth.example.com".
        error: What is raised when there is no value to use.
        cool_down: Seconds between two fetches.
        monotonic: Seconds by a clock that is never set.
        admit: (new value, former one or None) → what is kept. Not called by two threads at once.
    """

    def __init__(
        self,
        load: Callable[[], Loaded[T]],
        *,
        name: str,
        error: type[Unavailable],
        cool_down: float,
        monotonic: Callable[[], float],
        admit: Callable[[T, T | None], T] = lambda new, _: new,
    ) -> None:
        self._load = load
        self._name = name
        self._error = error
        self._cool_down = cool_down
        self._monotonic = monotonic
        self._admit = admit
        self._lock = threading.Lock()
        self._held: _Held[T] | None = None
        self._flight: Flight | None = None
        self._departed = float("-inf")  # when the last flight did
        self._failed_at: float | None = None  # None where the last flight that arrived brought a value

    @property
    def value(self) -> T | None:
        """What was fetched last, however long ago. None: nothing yet."""
        return None if self._held is None else self._held.value

    def at_hand(self) -> T | None:
        """The value, as long as it is young enough that nothing needs to be done."""
        held = self._held
        return held.value if held is not None and self._monotonic() < held.renew_at else None

    def get(self) -> Steps[T]:
        """The value. Raises ``error`` where there is none that could be used."""
        held, now = self._held, self._monotonic()
        if held is not None and now < held.renew_at:
            return held.value
        flight = self._depart(now)
        if flight is not None and self._must_arrive(held, now):
            yield flight
            held, now = self._held, self._monotonic()
        if held is None or now >= held.ends_at:
            raise self.unavailable()
        return held.value

    def renew(self, *, cool_down: float | None = None) -> Steps[bool]:
        """Fetches, unless that was done a moment ago. Whether it is certain that what is held now is the newest.

        Args:
            cool_down: Another one than usual, for who is not at the mercy of what strangers send.
        """
        flight = self._depart(self._monotonic(), cool_down)
        if flight is not None:
            yield flight
        return self._failed_at is None and (flight is None or flight.done())

    def change(self) -> None:
        """Has the value that is held admitted once more: for when what ``admit`` goes by has changed."""
        with self._lock:
            if self._held is not None:
                self._held = self._held._replace(value=self._admit(self._held.value, self._held.value))

    def unavailable(self) -> Unavailable:
        now = self._monotonic()
        wait = self._departed + self._pause(now) - now
        return self._error(f"{self._name} cannot be known", retry_after=math.ceil(wait))

    def _must_arrive(self, held: _Held[T] | None, now: float) -> bool:
        """What has expired is used only while the issuer cannot be reached: it may have taken something back."""
        if held is None or now >= held.ends_at:
            return True
        is_outage = self._failed_at is not None and now < self._failed_at + OUTAGE
        return now >= held.expires_at and not is_outage

    def _depart(self, now: float, cool_down: float | None = None) -> "Flight | None":
        """The flight that is under way, or a new one, or None during the cool-down."""
        with self._lock:
            age = now - self._departed
            if self._flight is not None and age < ABANDONED:
                return self._flight
            if age < (self._pause(now) if cool_down is None else cool_down):
                return None
            self._departed = now
            self._flight = flight = new_flight()
        try:
            threading.Thread(target=self._fly, args=(flight,), name="ostiary-fetch", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            self._arrive(flight, None)
        return flight

    def _pause(self, now: float) -> float:
        has_one = self._held is not None and now < self._held.ends_at
        return self._cool_down if has_one else min(self._cool_down, COOL_DOWN_WITHOUT)

    def _fly(self, flight: Flight) -> None:
        loaded = None
        try:
            loaded = self._load()
        except FetchFailed as problem:
            _log_failure(self._name, str(problem))
        finally:  # also where something unforeseen ends this thread: nobody must wait for it in vain
            self._arrive(flight, loaded)

    def _arrive(self, flight: Flight, loaded: Loaded[T] | None) -> None:
        with self._lock:
            if flight is self._flight:  # else it was given up, and what it brings may be older than what we have
                self._flight = None
                self._failed_at = self._monotonic() if loaded is None else None
                self._held = self._held if loaded is None else self._holding(loaded)
        flight.set_result(None)

    def _holding(self, loaded: Loaded[T]) -> _Held[T]:
        # counted from the departure: the answer was made at some time after it
        start, former = self._departed, self.value
        value = self._admit(loaded.value, former)
        return _Held(value, start + RENEWAL * loaded.lifetime, start + loaded.lifetime, start + loaded.end)


def _log_failure(name: str, reason: str) -> None:
    # who verifies with keys at hand fetches nothing: imported by those who do
    import logging  # noqa: PLC0415

    logging.getLogger("ostiary").warning("%s could not be fetched: %s", name, reason)
