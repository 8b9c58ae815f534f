"""Translates asyncpg's errors. SQLSTATEs: PostgreSQL's Appendix A.

Error texts contain only the server's primary message. Its DETAIL quotes rows, and asyncpg's own messages quote
parameters. For the same reason, errors are raised ``from None``.
"""

from typing import Any, Final

from ostiary.errors import ConstraintViolated, NoSuchTable, OstiaryError, StatementRefused, StoreUnavailable
from ostiary.store.postgres.driver import asyncpg

INTEGRITY_CONSTRAINT_VIOLATION: Final = "23"
UNDEFINED_TABLE: Final = "42P01"
READ_ONLY_TRANSACTION: Final = "25006"
COMPLETION_UNKNOWN: Final = "40003"

_TRY_AGAIN: Final = {"40001", "40P01"}  # serialization_failure, deadlock_detected

_LOCK_NOT_AVAILABLE: Final = "55P03"

_REFUSED: Final = {"0A", "22", "42", "44"}
"""Error classes that are the statement's fault: feature not supported, data exception, syntax or access rule, check
option."""

_REJECTED_AT_COMMIT: Final = {"23", "40"}
"""Classes of errors after which a COMMIT is known to have done nothing."""


class TryAgain(StoreUnavailable):
    """The server asks to run the transaction again."""


class LockTimeout(TryAgain):
    """A lock was not free for ``lock_timeout``."""


def driver_errors() -> tuple[type[BaseException], ...]:
    """What asyncpg raises when the server, the network or a statement fails."""
    driver = asyncpg()
    return (driver.PostgresError, driver.InterfaceError, driver.InternalClientError, OSError)  # OSError: also timeouts


def sqlstate(error: BaseException) -> str:
    """The five-character code, or an empty string if the error did not come from the server."""
    return getattr(error, "sqlstate", None) or ""


def is_usable(connection: Any) -> bool:
    """Whether it is still connected. The pool would accept a lost connection and lend it again."""
    try:
        return connection is not None and not connection.is_closed()
    except asyncpg().InterfaceError:
        return False


def explained(error: BaseException, connection: Any = None) -> OstiaryError:
    """Translates a driver's error into one of ours. ``connection``: where it happened, if there was a connection."""
    state = sqlstate(error)
    if state in _TRY_AGAIN or isinstance(error, asyncpg().InvalidCachedStatementError):
        return TryAgain(_text(error))
    if state == _LOCK_NOT_AVAILABLE:
        return LockTimeout(_text(error))
    if state.startswith(INTEGRITY_CONSTRAINT_VIOLATION):
        return ConstraintViolated(_text(error))
    if state == UNDEFINED_TABLE:
        return NoSuchTable(_text(error))
    if state[:2] in _REFUSED or (isinstance(error, asyncpg().InterfaceError) and is_usable(connection)):
        return StatementRefused(_text(error))
    return StoreUnavailable(_text(error))


def is_rejected_commit(error: BaseException) -> bool:
    """Whether the server said that the COMMIT did nothing. In every other case it may have succeeded."""
    state = sqlstate(error)
    return state[:2] in _REJECTED_AT_COMMIT and state != COMPLETION_UNKNOWN


def _text(error: BaseException) -> str:
    if isinstance(error, asyncpg().InterfaceError):
        return "PostgreSQL: the parameters do not fit the statement, or the connection is closed"
    if isinstance(error, TimeoutError):
        return "PostgreSQL: no answer in time"
    said = getattr(error, "message", None) or getattr(error, "strerror", None) or type(error).__name__
    return f"PostgreSQL: {said}"
