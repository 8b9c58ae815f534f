"""The writer's connection. It begins and commits in the writer's thread, where waiting for a lock or the disk does not
block the event loop."""

import sqlite3
import time
from functools import partial
from typing import Final

from ostiary.store.pauses import jitter
from ostiary.store.sqlite.connection import connect, disconnect, insist
from ostiary.store.sqlite.file import DatabaseFile
from ostiary.store.sqlite.log import LogWatch

CROWDED_SECONDS: Final = 1.0
"""For this long after another process has committed, this process gives it turns."""

TURN: Final = 0.002
"""The longest pause, in seconds, before the lock is taken again while other processes may be waiting for it."""


class Session:
    """One connection at a time. It is opened when it is first needed, and again after it has failed.

    Only one thread uses it at a time: the writer's thread during a call of this class, the event loop's in between.
    """

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file
        self._log = LogWatch(file.path)
        self._connection: sqlite3.Connection | None = None
        self._version: int | None = None
        self._crowded_until = 0.0

    @property
    def connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RuntimeError("call begin() first")
        return self._connection

    def begin(self, patience: float) -> None:
        """Takes the write lock. Gives up with SQLITE_BUSY after ``patience`` seconds, and with StoreUnavailable if the
        file at the path is not the open one."""
        self._give_a_turn()
        self._file.verify()
        if self._connection is None:
            self._connection = insist(partial(connect, self._file), patience)
        try:
            insist(partial(self._connection.execute, "begin immediate"), patience)
            self._notice_others()
        except BaseException:
            self.discard()
            raise

    def commit(self, patience: float) -> None:
        """Makes everything since `begin` durable. If it raises, check `connection.in_transaction`."""
        insist(partial(self.connection.execute, "commit"), patience)
        self._file.verify()  # it may have been moved since: then nobody may rely on this commit
        self._log.look()

    def discard(self) -> None:
        """Undoes what is not committed and closes the connection, whose state cannot be trusted after an error."""
        connection, self._connection, self._version = self._connection, None, None
        if connection is not None:
            disconnect(connection, self._file)

    def _notice_others(self) -> None:
        """``data_version`` changes when another connection commits. Only this one commits in this process."""
        (version,) = self.connection.execute("pragma data_version").fetchone()
        if self._version not in {None, version}:
            self._crowded_until = time.monotonic() + CROWDED_SECONDS
        self._version = version

    def _give_a_turn(self) -> None:
        """SQLite has no queue for its lock. A process that takes it again at once would starve processes that sleep
        between attempts."""
        if time.monotonic() < self._crowded_until:
            time.sleep(jitter(TURN))
