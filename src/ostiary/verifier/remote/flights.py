"""Waiting for what is being fetched, written once for threads and event loops.

It is written as steps: a generator that yields the flights it has to wait for, and returns. `finish` and `finish_async`
carry steps out.
"""

import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from ostiary.errors import RevocationsUnknown, Unavailable
from ostiary.verifier.remote.source import DEADLINE

if TYPE_CHECKING:
    from concurrent.futures import Future

PATIENCE: Final = DEADLINE + 1.0  # seconds that a caller waits for a flight

T = TypeVar("T")
Flight: TypeAlias = "Future[None]"
Steps: TypeAlias = Generator[Flight, None, T]


class OnTheirWay(RevocationsUnknown):
    """What is revoked is being fetched, and this thread must not wait for it: whoever can, awaits `arrival`."""

    def __init__(self, flight: Flight) -> None:
        super().__init__("revocations are being fetched, and an event loop cannot wait: use verify_async")
        self._flight = flight

    async def arrival(self) -> None:
        await _arrival(self._flight)


def finish(steps: Steps[T], *, in_event_loop: Callable[[Flight], Unavailable] | None = None) -> T:
    """Carries out steps, waiting in this thread.

    Args:
        in_event_loop: The error instead of waiting in the thread of an event loop, and everybody there with it.

    Raises:
        Unavailable: it would have had to wait there. Whatever the steps raise.
    """
    try:
        while True:
            flight = next(steps)
            if _runs_an_event_loop():
                raise (in_event_loop or _keys_on_their_way)(flight)
            _wait(flight)
    except StopIteration as done:
        result: T = done.value
        return result


async def finish_async(steps: Steps[T]) -> T:
    """Carries out steps, letting others have their turn in the meantime."""
    try:
        while True:
            await _arrival(next(steps))
    except StopIteration as done:
        result: T = done.value
        return result


def new_flight() -> Flight:
    # who verifies with keys at hand waits for nobody: imported by those who do
    from concurrent.futures import Future  # noqa: PLC0415

    flight: Flight = Future()
    flight.set_running_or_notify_cancel()  # one who is tired of waiting must not cancel it for the others
    return flight


async def _arrival(flight: Flight) -> None:
    # whoever awaits this has imported it
    import asyncio  # noqa: PLC0415

    arrival = asyncio.wrap_future(flight)
    try:
        await asyncio.wait([arrival], timeout=PATIENCE)
    finally:
        arrival.cancel()  # no longer of interest; the flight itself goes on


def _wait(flight: Flight) -> None:
    # as in new_flight
    from concurrent.futures import wait  # noqa: PLC0415

    wait([flight], timeout=PATIENCE)


def _runs_an_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")  # where nobody has imported it, no loop runs
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except (RuntimeError, AttributeError):  # the latter while another thread is importing it
        return False
    return True


def _keys_on_their_way(_: Flight) -> Unavailable:
    return Unavailable("the keys are being fetched, and an event loop cannot wait: use verify_async")
