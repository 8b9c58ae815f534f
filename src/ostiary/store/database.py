"""The `Database` port: one SQL text, two engines.

Statements are written once, in the subset that SQLite and PostgreSQL share, with ``$1`` placeholders. In the subset:
``insert … on conflict … do update … where … returning``, guarded ``update … returning``, ``delete … returning``, CTEs
that read. Not in it: CTEs that write, arrays and ``in ($1)``, ``skip locked``, ``like``, BOOLEAN, deferred
constraints. Cast a parameter that is tested for null (``cast($1 as text) is null``), and a sum (``cast(sum(n) as
bigint)``). Columns are TEXT, BYTEA and BIGINT (seconds or microseconds: the migration says which); JSON is TEXT.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar

SWEEP_ROWS: Final = 500
"""Rows that one statement may remove when it tidies up: on SQLite it runs on the event loop."""

Value: TypeAlias = str | bytes | int | None
"""What may be a parameter. An integer fits into int64, text has no NUL and no surrogate: otherwise `ValueError`."""

Row: TypeAlias = Sequence[Any]
"""One row, its columns in the order of the select list: ``Account(*row)``."""

T = TypeVar("T")


class Reader(Protocol):
    """What can be asked. Every read fetches all its rows at once: an open cursor would pin an old snapshot."""

    async def one(self, sql: str, *args: Value) -> Row | None:
        """The first row, or None."""

    async def all(self, sql: str, *args: Value) -> list[Row]:
        """Every row. For lists that may be long: outside of a transaction, SQLite reads them in a thread of its own."""


class Transaction(Reader, Protocol):
    """What a transaction's body is given. `one` and `all` also run statements that write and ``returning``.

    After a statement has failed the transaction is over, as PostgreSQL has it: further statements are refused with
    RuntimeError, and a body that returns nevertheless is rolled back and its caller gets the statement's error.
    """

    async def execute(self, sql: str, *args: Value) -> int:
        """Runs one statement and returns how many rows it inserted, updated or deleted."""

    async def lock(self, name: str) -> None:
        """Waits until no other transaction holds the lock ``name``, and holds it until this one ends."""

    async def announce(self) -> None:
        """Wakes `Database.wait_for_change` in every process, once this transaction has committed."""


Body: TypeAlias = Callable[[Transaction], Awaitable[T]]
"""A transaction's body. It awaits nothing but its `Transaction` (anything else is refused with RuntimeError, and rolled
back), and has no effect outside: it may be run again when the engine asks for a retry. Raising rolls it back; a refusal
whose effects must stay is *returned*, committed, and raised by the caller."""


class Database(Reader, Protocol):
    """Rows that must not be lost. Unreachable, full or failing: `ostiary.errors.StoreUnavailable`."""

    async def open(self) -> None:
        """Connects. The constructor does no I/O. What failed here may be tried again; what succeeded may not.

        Raises:
            ConfigurationError: it can never work like this (no folder, not a database, password refused).
            StoreUnavailable: the server does not answer.
        """

    async def close(self) -> None:
        """Lets what is under way finish, then disconnects. What comes later: `ostiary.errors.StoreUnavailable`."""

    async def transaction(self, body: Body[T], *, patience: float | None = None) -> T:
        """Runs ``body`` and returns its result after the commit is durable.

        Cancelling the caller neither cancels the commit nor undoes a finished body; a body that has not begun by then
        is never run. ``patience`` is how many seconds to wait for a lock or a statement, where the engine's own limit
        is too short (a migration). When the commit's fate is not known: `ostiary.errors.OutcomeUnknown`.
        """

    async def execute(self, sql: str, *args: Value) -> int:
        """One statement in a transaction of its own."""

    async def wait_for_change(self, timeout: float) -> None:
        """Returns when another commit that called `Transaction.announce` may have happened (``NOTIFY``,
        ``PRAGMA data_version``), at the latest after ``timeout`` seconds. A hint only: callers poll."""

    async def now(self) -> int:
        """The database's clock, in microseconds since the epoch."""
