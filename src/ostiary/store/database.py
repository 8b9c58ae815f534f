"""The `Database` port: one SQL text, two engines.

Statements are written once, in the subset that SQLite and PostgreSQL share, with ``$1`` placeholders. The subset
includes ``insert … on conflict … do update … where … returning``, guarded ``update … returning``, ``delete …
returning`` and CTEs that read. It excludes CTEs that write, arrays and ``in ($1)``, ``skip locked``, ``like``, BOOLEAN
and deferred constraints. Cast a parameter that is tested for null (``cast($1 as text) is null``), and a sum
(``cast(sum(n) as bigint)``). Columns are TEXT, BYTEA and BIGINT. Times are in seconds or microseconds, as the migration
states. JSON is TEXT.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar

SWEEP_ROWS: Final = 500
"""The most rows that one cleanup statement may remove. On SQLite it runs on the event loop."""

Value: TypeAlias = str | bytes | int | None
"""A parameter. An integer that does not fit into int64, or text with NUL or a surrogate, raises `ValueError`."""

Row: TypeAlias = Sequence[Any]
"""One row, with its columns in the order of the select list: ``Account(*row)``."""

FEW: Final = 256
"""The most rows that SQLite fetches on the event loop for `Reader.few`."""

T = TypeVar("T")


class Reader(Protocol):
    """Reads rows. Every read fetches all its rows at once, because an open cursor would pin an old snapshot."""

    async def one(self, sql: str, *args: Value) -> Row | None:
        """The first row, or None."""

    async def few(self, sql: str, *args: Value) -> list[Row]:
        """Every row of a statement that finds few rows by an index, such as the roles of one account. SQLite reads it
        on the event loop, so the database's size must not matter to it."""

    async def all(self, sql: str, *args: Value) -> list[Row]:
        """Every row. Use it for long lists: outside a transaction, SQLite reads them in a separate thread."""


class Transaction(Reader, Protocol):
    """The argument of a transaction's body. `one` and `all` also run statements that write and have ``returning``.

    After a statement has failed, the transaction is over, as in PostgreSQL. Further statements are refused with
    RuntimeError. If the body returns anyway, it is rolled back, and its caller gets the statement's error.
    """

    async def execute(self, sql: str, *args: Value) -> int:
        """Runs one statement and returns how many rows it inserted, updated or deleted."""

    async def lock(self, name: str) -> None:
        """Waits until no other transaction holds the lock ``name``, then holds it until this transaction ends."""

    async def announce(self) -> None:
        """Wakes `Database.wait_for_change` in every process after this transaction has committed."""


Body: TypeAlias = Callable[[Transaction], Awaitable[T]]
"""A transaction's body. It may await only its `Transaction`. Anything else is refused with RuntimeError and rolled
back. It must have no effects outside, because it may run again if the engine asks for a retry. Raising an error rolls
it back. A refusal whose effects must stay is *returned*, committed, and then raised by the caller."""


class Database(Reader, Protocol):
    """Durable rows. Raises `ostiary.errors.StoreUnavailable` if the database is unreachable, full or failing."""

    async def open(self) -> None:
        """Connects. The constructor does no I/O. You can call it again after an error, but not after a success.

        Raises:
            ConfigurationError: it can never work with these settings (no folder, not a database, password refused).
            StoreUnavailable: the server does not answer.
        """

    async def close(self) -> None:
        """Lets running work finish, then disconnects. Later calls raise `ostiary.errors.StoreUnavailable`."""

    async def transaction(self, body: Body[T], *, patience: float | None = None) -> T:
        """Runs ``body`` and returns its result after the commit is durable.

        Cancelling the caller neither cancels the commit nor undoes a finished body. A body that has not begun by then
        never runs. ``patience`` is how many seconds to wait for a lock or a statement, where the engine's own limit is
        too short (a migration). Raises `ostiary.errors.OutcomeUnknown` if it is unknown whether the commit succeeded.
        """

    async def execute(self, sql: str, *args: Value) -> int:
        """Runs one statement in its own transaction."""

    async def wait_for_change(self, timeout: float) -> None:
        """Returns when another commit that called `Transaction.announce` may have happened (``NOTIFY``,
        ``PRAGMA data_version``), or after ``timeout`` seconds at the latest. It is only a hint: callers must poll."""

    async def check_writes(self) -> None:
        """Raises StoreUnavailable if writes fail. It may be called often: it writes only after a transaction of this
        process has failed, and then at most once a second."""

    async def now(self) -> int:
        """The database's clock, in microseconds since the epoch."""
