"""The file of a database, and whether it is still the one that was opened."""

import os
import time
from pathlib import Path
from typing import Final

from ostiary.errors import StoreUnavailable

LOOK_SECONDS: Final = 0.1
"""Seconds between two looks before reads. Before each commit it is looked at anyway."""


class DatabaseFile:
    """On Unix, an open file that is renamed or deleted can still be read and written. What is written is lost to every
    process that opens the path, and to the next start."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Final = Path(os.path.abspath(path))  # noqa: PTH100 — resolve() would follow links
        self._identity: tuple[int, int] | None = None
        self._look_at = 0.0

    def remember(self) -> None:
        """From now on, the file at the path must be this one. Raises StoreUnavailable if there is none."""
        self._identity = self._found()
        if self._identity is None:
            raise self._gone()

    def verify(self) -> None:
        """Raises StoreUnavailable if the file at the path is not the one that was opened."""
        if self._identity is not None and self._found() != self._identity:
            raise self._gone()

    def verify_sometimes(self) -> None:
        """Like `verify`, but looks only now and then: it is called for every read."""
        if (now := time.monotonic()) >= self._look_at:
            self.verify()
            self._look_at = now + LOOK_SECONDS

    def _gone(self) -> StoreUnavailable:
        return StoreUnavailable(f"the database file {self.path} was renamed, deleted or replaced: restart Ostiary")

    def _found(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino
