"""The source of time. Nothing else in core reads a clock, except for the ``Date`` header of mails, which is not used
for any decision."""

import time
from datetime import UTC, datetime
from typing import Final, Protocol

from ostiary.store.hot import CLOCK_TOLERANCE

MICROSECONDS: Final = 1_000_000
"""Microseconds per second."""

TOLERANCE: Final = CLOCK_TOLERANCE
"""Microseconds by which the clocks of two servers may differ."""

TO_THE_MINUTE: Final = "%Y-%m-%d %H:%M UTC"
"""The format of a `moment` in mails. It does not depend on the locale of the server."""


class Clock(Protocol):
    def now(self) -> int:
        """Microseconds since the epoch."""


class SystemClock:
    def now(self) -> int:
        return time.time_ns() // 1000


def is_recent(at: int, *, now: int, within: int) -> bool:
    """Whether ``at`` was less than ``within`` microseconds ago.

    A time in the future is not recent: after a clock was set back, everything that happened before would otherwise be
    recent for as long as the clock was off.
    """
    return -TOLERANCE <= now - at < within


def exact_moment(microseconds: int) -> datetime:
    """A time since the epoch, in UTC, to the microsecond: for programs."""
    return datetime.fromtimestamp(microseconds / MICROSECONDS, tz=UTC)


def moment(microseconds: int) -> datetime:
    """A time since the epoch as responses and mails show it: in UTC, in whole seconds."""
    return datetime.fromtimestamp(microseconds // MICROSECONDS, tz=UTC)
