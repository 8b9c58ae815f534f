"""Where time comes from. Nothing else in core reads a clock, but for the ``Date`` of a mail, which decides nothing."""

import time
from datetime import UTC, datetime
from typing import Final, Protocol

MICROSECONDS: Final = 1_000_000
"""In one second."""

TO_THE_MINUTE: Final = "%Y-%m-%d %H:%M UTC"
"""How mails write a `moment`: the same in every language, whatever the server's locale is."""


class Clock(Protocol):
    def now(self) -> int:
        """Microseconds since the epoch."""


class SystemClock:
    def now(self) -> int:
        return time.time_ns() // 1000


def moment(microseconds: int) -> datetime:
    """A time since the epoch as answers and mails show it: in UTC, to the whole second."""
    return datetime.fromtimestamp(microseconds // MICROSECONDS, tz=UTC)
