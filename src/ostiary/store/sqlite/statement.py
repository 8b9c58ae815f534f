"""One statement on one connection. All rows are fetched, because an open cursor would pin an old snapshot."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from ostiary.store.database import Row, Value
from ostiary.store.values import checked

_NAMES: Final = tuple(str(number) for number in range(1, 1000))
"""sqlite3 treats ``$1`` as a parameter named ``1``. Older builds of SQLite accept up to 999 parameters."""


def bound(args: Sequence[Value]) -> dict[str, Value]:
    """The parameters by name. Raises ValueError if one cannot be stored."""
    return dict(zip(_NAMES, checked(args), strict=False))


def rows(connection: sqlite3.Connection, sql: str, parameters: dict[str, Value]) -> list[Row]:
    return connection.execute(sql, parameters).fetchall()


def first_rows(connection: sqlite3.Connection, sql: str, parameters: dict[str, Value], most: int) -> list[Row]:
    """At most ``most`` rows. The others are not read."""
    cursor = connection.execute(sql, parameters)
    found = cursor.fetchmany(most)
    cursor.close()
    return found


def touched(connection: sqlite3.Connection, sql: str, parameters: dict[str, Value]) -> int:
    """How many rows the statement inserted, updated or deleted."""
    before = connection.total_changes
    cursor = connection.execute(sql, parameters)
    returned = cursor.fetchall()
    if connection.total_changes == before:
        return 0
    if returned:
        return len(returned)
    # sqlite3 gives no row count for a statement that begins with a CTE
    return cursor.rowcount if cursor.rowcount >= 0 else int(connection.execute("select changes()").fetchone()[0])
