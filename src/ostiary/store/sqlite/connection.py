"""Opens connections to the file, and translates their errors."""

import contextlib
import ctypes
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from ostiary.errors import (
    ConfigurationError,
    ConstraintViolated,
    NoSuchTable,
    OstiaryError,
    StatementRefused,
    StoreUnavailable,
)
from ostiary.store.pauses import pauses
from ostiary.store.sqlite.file import DatabaseFile
from ostiary.store.sqlite.log import KEPT_LOG

OLDEST_SQLITE: Final = (3, 35, 0)  # the first with RETURNING
OLDEST_SQLITE_NAME: Final = ".".join(map(str, OLDEST_SQLITE))

CACHED_STATEMENTS: Final = 512

ENGINE_ERRORS: Final = (sqlite3.Error, sqlite3.Warning, MemoryError)
"""What sqlite3 raises. SQLITE_NOMEM is a MemoryError. Two statements in one text were a Warning until 3.12."""

_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_REFUSED: Final = {
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_MISUSE,
    sqlite3.SQLITE_RANGE,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_AUTH,
}

T = TypeVar("T")


def connect(file: DatabaseFile, *, reading: bool = False) -> sqlite3.Connection:
    """A connection that never waits for a lock, begins no transaction automatically and creates no file. Close it with
    `disconnect`."""
    connection = _connect(file)
    try:
        if reading:
            connection.execute("pragma query_only = on")
        connection.execute("pragma user_version").fetchone()  # reads, which opens the log
    except BaseException:
        connection.close()
        raise
    file.connected()
    return connection


def disconnect(connection: sqlite3.Connection, file: DatabaseFile) -> None:
    """Closes. The last connection to close writes the log back into the file. If the log at the path is another one,
    the file may be a restored backup, which the log of the former database would damage. So the connection stays open
    until the process ends: Python 3.11 has no way to close it without that."""
    if file.disconnecting():
        connection.close()
    else:
        with contextlib.suppress(sqlite3.Error):
            connection.rollback()  # the log may come back, and then others want the lock
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))  # never collected, not even at exit


def establish(file: DatabaseFile, *, patience: float) -> None:
    """Makes sure that the file exists, is in WAL mode and is writable. A new file is readable only by its owner.

    Raises:
        ConfigurationError: that is not possible.
        StoreUnavailable: other processes held it for ``patience`` seconds, or the disk fails.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise ConfigurationError(f"SQLite {sqlite3.sqlite_version} is too old: {OLDEST_SQLITE_NAME} or later is needed")
    _create(file.path)
    try:
        insist(lambda: _prove_writable(file), patience)
    except sqlite3.Error as error:
        raise _unusable(file.path, error) from None
    file.remember()


def insist(attempt: Callable[[], T], patience: float) -> T:
    """Retries with pauses while the database is busy, for ``patience`` seconds. Never call it on the event loop."""
    waits = pauses(patience)
    while True:
        try:
            return attempt()
        except sqlite3.Error as error:
            pause = next(waits, None) if is_busy(error) else None
            if pause is None:
                raise
        time.sleep(pause)


def is_busy(error: BaseException) -> bool:
    """Whether another connection is in the way, so that a retry can help."""
    return _code(error) in _BUSY


def explained(error: BaseException) -> OstiaryError:
    """Translates the engine's error into one of ours. Its text names tables and columns, never values."""
    if _code(error) == sqlite3.SQLITE_CONSTRAINT:
        return ConstraintViolated(str(error))
    if isinstance(error, sqlite3.OperationalError) and str(error).startswith("no such table"):
        return NoSuchTable(str(error))
    if isinstance(error, sqlite3.Warning) or _code(error) in _REFUSED or _is_misuse(error):
        return StatementRefused(str(error))
    return StoreUnavailable(f"SQLite: {error or type(error).__name__}")


def _is_misuse(error: BaseException) -> bool:
    """Errors that the Python module itself raises have no code. All but one are the statement's fault."""
    return isinstance(error, sqlite3.ProgrammingError) and "closed database" not in str(error)


def _code(error: BaseException) -> int:
    """The primary result code: the lowest byte of the extended one."""
    return getattr(error, "sqlite_errorcode", -1) & 0xFF if isinstance(error, sqlite3.Error) else -1


def _create(path: Path) -> None:
    """Creates an empty file that only its owner may read. SQLite gives its companion files the same mode.

    An existing file is not opened, because closing another descriptor of it would drop SQLite's locks in this process.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise ConfigurationError(f"the database {path} cannot be opened: it is a folder") from None
    except OSError as error:
        raise ConfigurationError(f"the database {path} cannot be created: {error.strerror}") from None


def _connect(file: DatabaseFile) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{file.path.as_uri()}?mode=rw",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=CACHED_STATEMENTS,
    )
    try:
        file.verify()  # after opening: another file may be at the path
        connection.execute("pragma synchronous = full")
        connection.execute("pragma foreign_keys = on")
        connection.execute("pragma trusted_schema = off")
        connection.execute(f"pragma journal_size_limit = {KEPT_LOG}")
    except BaseException:
        connection.close()
        raise
    return connection


def _prove_writable(file: DatabaseFile) -> None:
    connection = _connect(file)
    try:
        (mode,) = connection.execute("pragma journal_mode = wal").fetchone()
        (version,) = connection.execute("pragma user_version").fetchone()
        connection.execute("begin immediate")  # not enough: a read-only file allows this
        connection.execute(f"pragma user_version = {version}")
        connection.execute("rollback")
    finally:
        connection.close()
    if mode != "wal":
        raise ConfigurationError(f"the database {file.path} cannot use WAL mode here: is it on a network file system?")


def _unusable(path: Path, error: sqlite3.Error) -> OstiaryError:
    reasons = {
        sqlite3.SQLITE_NOTADB: "it is not an SQLite database",
        sqlite3.SQLITE_CORRUPT: "it is damaged",
        sqlite3.SQLITE_READONLY: "it or its folder is not writable",
        sqlite3.SQLITE_CANTOPEN: "it or its folder is not writable",
        sqlite3.SQLITE_PERM: "it or its folder is not writable",
    }
    if reason := reasons.get(_code(error)):
        return ConfigurationError(f"the database {path} cannot be opened: {reason}")
    return explained(error)
