"""Waiting for a fetch, written once for both threads and event loops.

A fetch in progress is a *flight*. Code that may have to wait is written as *steps*: a generator that yields each flight
to wait for, and returns a result. `finish` and `finish_async` run the steps.
"""

import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from ostiary.errors import RevocationsUnknown, Unavailable
from ostiary.verifier.remote.source import DEADLINE

if TYPE_CHECKING:
    from concurrent.futures import Future

PATIENCE: Final = DEADLINE + 1.0  # seconds for which a caller waits for a flight

T = TypeVar("T")
Flight: TypeAlias = "Future[None]"
Steps: TypeAlias = Generator[Flight, None, T]


class OnTheirWay(RevocationsUnknown):
    """Revocations are being fetched, and this thread must not block. A coroutine can await `arrival` instead."""

    def __init__(self, flight: Flight) -> None:
        super().__init__("revocations are being fetched, and verify must not block an event loop: await verify_async")
        self._flight = flight

    async def arrival(self) -> None:
        await _arrival(self._flight)


def finish(steps: Steps[T], *, in_event_loop: Callable[[Flight], Unavailable] | None = None) -> T:
    """Runs the steps and blocks this thread while it waits.

    Args:
        in_event_loop: Creates the error to raise if this thread runs an event loop, which must not be blocked.

    Raises:
        Unavailable: the steps would have to wait in the thread of an event loop.

    Exceptions that the steps raise are passed on.
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
    """Runs the steps without blocking the event loop."""
    try:
        while True:
            await _arrival(next(steps))
    except StopIteration as done:
        result: T = done.value
        return result


def new_flight() -> Flight:
    # imported late: verifying with local keys does not need it
    from concurrent.futures import Future  # noqa: PLC0415

    flight: Flight = Future()
    flight.set_running_or_notify_cancel()  # a caller that stops waiting must not cancel the flight for the others
    return flight


async def _arrival(flight: Flight) -> None:
    # imported late: it is already loaded wherever an event loop runs
    import asyncio  # noqa: PLC0415

    arrival = asyncio.wrap_future(flight)
    try:
        await asyncio.wait([arrival], timeout=PATIENCE)
    finally:
        arrival.cancel()  # only this caller stops waiting; the flight continues


def _wait(flight: Flight) -> None:
    # imported late, as in new_flight
    from concurrent.futures import wait  # noqa: PLC0415

    wait([flight], timeout=PATIENCE)


def _runs_an_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")  # if it was never imported, no event loop runs
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except (RuntimeError, AttributeError):  # AttributeError while another thread is importing it
        return False
    return True


def _keys_on_their_way(_: Flight) -> Unavailable:
    return Unavailable("the keys are being fetched, and verify must not block an event loop: await verify_async")
