"""The files of a database, and whether they are still the ones that were opened."""

import os
import threading
import time
from pathlib import Path
from typing import Final, TypeAlias

from ostiary.errors import StoreUnavailable

LOOK_SECONDS: Final = 0.1
"""Seconds between two looks before reads. Before each commit it is looked at anyway."""

_Identity: TypeAlias = tuple[int, int] | None


class DatabaseFile:
    """On Unix, an open file that is renamed or deleted can still be read and written. What is written is lost to every
    process that opens the path, and to the next start. The same is true of the write-ahead log and its index.

    Files are only looked at, never opened: closing any descriptor of them gives up SQLite's locks in this process.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Final = Path(os.path.abspath(path))  # noqa: PTH100 — resolve() would follow links
        self._log: Final = [self.path.with_name(f"{self.path.name}{end}") for end in ("-wal", "-shm")]
        self._identity: _Identity = None
        self._identity_of_log: list[_Identity] | None = None
        self._connections = 0
        self._counting = threading.Lock()
        self._look_at = 0.0

    def remember(self) -> None:
        """From now on, the file at the path must be this one. Raises StoreUnavailable if there is none."""
        self._identity = _found(self.path)
        if self._identity is None:
            raise self._gone()

    def connected(self) -> None:
        """A connection has read, so the log exists and is open. SQLite keeps these files, also when it starts the log
        again, until the last connection of all processes closes."""
        with self._counting:
            self._connections += 1
            if self._identity_of_log is None:
                self._identity_of_log = self._found_log()

    def disconnecting(self) -> bool:
        """Call it before a connection that was `connected` closes. Whether the log is still the one that was opened.
        If not, the connection must not touch the files any more, and no other may open them."""
        with self._counting:
            self._connections -= 1
            is_intact = self._identity_of_log == self._found_log()
            if is_intact and not self._connections:
                self._identity_of_log = None  # SQLite may delete it now
            return is_intact

    def verify(self) -> None:
        """Raises StoreUnavailable if the files at the path are not the ones that were opened."""
        if self._identity is not None and _found(self.path) != self._identity:
            raise self._gone()
        log = self._identity_of_log
        if log is not None and log != self._found_log() and log is self._identity_of_log:  # not closed meanwhile
            raise self._gone()

    def verify_sometimes(self) -> None:
        """Like `verify`, but looks only now and then: it is called for every read."""
        if (now := time.monotonic()) >= self._look_at:
            self.verify()
            self._look_at = now + LOOK_SECONDS

    def _gone(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"the database file {self.path}, its -wal or its -shm was renamed, deleted or replaced: restart Ostiary"
        )

    def _found_log(self) -> list[_Identity]:
        return [_found(path) for path in self._log]


def _found(path: Path) -> _Identity:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
