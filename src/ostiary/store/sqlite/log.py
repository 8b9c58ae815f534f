"""The write-ahead log: how large it is, and a warning when it grows.

SQLite writes the log back into the database after every thousand pages and then resets its write-ahead log. It cannot
while a reader still sees an older state, for example a shell with an open transaction or a stuck backup. Ostiary's own
readers fetch all rows at once. Nothing but the end of the reader bounds the log then, so it is logged.
"""

import logging
from pathlib import Path
from typing import Final

KEPT_LOG: Final = 16 * 1024 * 1024
"""Bytes that the log keeps on disk when it starts again. Usually it has four megabytes."""

LARGE_LOG: Final = 2 * KEPT_LOG
"""Bytes from which on the log is reported. It is this large only if it could not start again."""

_log = logging.getLogger("ostiary.store")


def log_size(path: Path) -> int:
    """The bytes of the log of a database file."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except OSError:
        return 0


class LogWatch:
    """Warns once for each doubling of the log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._warn_at = LARGE_LOG

    def look(self) -> None:
        size = log_size(self._path)
        if size >= self._warn_at:
            _log.warning("sqlite.log_grows", extra={"bytes": size})
            self._warn_at = 2 * size
        elif size < LARGE_LOG:
            self._warn_at = LARGE_LOG
