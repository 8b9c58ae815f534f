"""The source of time. Nothing else in core reads a clock, except for the ``Date`` header of mails, which is not used
for any decision."""

import time
from datetime import UTC, datetime
from typing import Final, Protocol

MICROSECONDS: Final = 1_000_000
"""Microseconds per second."""

TO_THE_MINUTE: Final = "%Y-%m-%d %H:%M UTC"
"""The format of a `moment` in mails. It does not depend on the locale of the server."""


class Clock(Protocol):
    def now(self) -> int:
        """Microseconds since the epoch."""


class SystemClock:
    def now(self) -> int:
        return time.time_ns() // 1000


def exact_moment(microseconds: int) -> datetime:
    """A time since the epoch, in UTC, to the microsecond: for programs."""
    return datetime.fromtimestamp(microseconds / MICROSECONDS, tz=UTC)


def moment(microseconds: int) -> datetime:
    """A time since the epoch as responses and mails show it: in UTC, in whole seconds."""
    return datetime.fromtimestamp(microseconds // MICROSECONDS, tz=UTC)
