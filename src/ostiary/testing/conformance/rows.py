"""Rows: stored values come back, the common SQL subset behaves the same everywhere, and each misuse has one error."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from ostiary.errors import ConstraintViolated, NoSuchTable, StatementRefused, StoreUnavailable
from ostiary.store.database import FEW, Row, Transaction, Value
from ostiary.store.values import INT64_MAX, INT64_MIN
from ostiary.testing.conformance.opening import DatabaseCheck, OpenDatabase, counted, raising

SOON: Final = 20.0
"""Seconds within which a caller with a much longer timeout must wake up, also on a busy machine."""


async def values_come_back_unchanged(opened: OpenDatabase) -> None:
    """Text, bytes, the limits of int64 and null come back unchanged, in plain tuples."""
    async with opened() as database:
        await database.execute("create table kept (id bigint primary key, words text, raw bytea, number bigint)")
        given: list[tuple[Any, ...]] = [
            (1, "ünïcode 🗝 'quoted' $1", b"\x00\xff\x00", INT64_MAX),
            (2, "", b"", INT64_MIN),
            (3, None, None, None),
            (4, "12", b"12", 0),
        ]
        for row in given:
            await database.execute("insert into kept (id, words, raw, number) values ($1, $2, $3, $4)", *row)
        found = await database.all("select id, words, raw, number from kept order by id")
        assert found == given
        assert [type(row) for row in found] == [tuple] * len(given)


async def one_is_the_first_row_or_none(opened: OpenDatabase) -> None:
    """`one` returns the first row and ignores the others. Without rows it returns None."""
    async with counted(opened) as database:
        assert await database.one("select id from counted order by id") == (1,)
        assert await database.one("select id from counted where id = $1", 99) is None
        assert await database.all("select id from counted where id = $1", 99) == []


async def few_are_all_rows(opened: OpenDatabase) -> None:
    """`few` returns every row, inside and outside a transaction, even if there are many more than expected."""
    numbers = "with recursive n (i) as (select 1 union all select i + 1 from n where i < $1) select i from n order by i"
    async with opened() as database:
        for count in (1, FEW, FEW + 1, 10 * FEW):
            expected = [(number,) for number in range(1, count + 1)]
            assert await database.few(numbers, count) == expected
            assert await database.transaction(partial(_few, numbers, (count,))) == expected
        assert await database.few("select 1 where $1 = 0", 1) == []


async def touched_rows_are_counted(opened: OpenDatabase) -> None:
    """`execute` counts inserted, updated and deleted rows, and nothing else."""
    upsert = "insert into counted (id, n) values (1, 5) on conflict (id) do update set n = 5 where counted.n > $1"
    from_cte = "with other as (select {} as id) update counted set n = 9 where id = (select id from other)"
    cases = (
        ("update counted set n = n + 1", (), 3),
        ("update counted set n = n + 1 where id = $1 returning n", (2,), 1),
        (from_cte.format(3), (), 1),
        (from_cte.format(99), (), 0),
        (upsert, (100,), 0),
        (upsert, (0,), 1),
        ("select id from counted", (), 0),
        ("insert into counted (id, n) values (7, 0), (8, 0)", (), 2),
        ("delete from counted where id = $1", (99,), 0),
        ("delete from counted where id > $1", (6,), 2),
        ("create table more (id bigint)", (), 0),
    )
    async with counted(opened) as database:
        for sql, args, count in cases:
            assert await database.execute(sql, *args) == count, sql


async def guarded_statements_return_what_they_changed(opened: OpenDatabase) -> None:
    """Upserts, guarded updates and deletes return their rows, or no rows if the guard is false."""
    upsert = (
        "insert into counted (id, n) values ($1, $2) on conflict (id) do update set n = excluded.n"
        " where counted.n < excluded.n returning id, n"
    )
    raised = "update counted set n = n + 1 where id = $1 and n = $2 returning n"
    consumed = "delete from counted where id = $1 returning n"
    cases: tuple[tuple[str, tuple[int, ...], list[tuple[int, ...]]], ...] = (
        (upsert, (1, 5), [(1, 5)]),
        (upsert, (1, 4), []),
        (upsert, (4, 1), [(4, 1)]),
        (raised, (4, 1), [(2,)]),
        (raised, (4, 1), []),
        (consumed, (4,), [(2,)]),
        (consumed, (4,), []),
    )
    async with counted(opened) as database:
        for sql, args, expected in cases:
            assert await database.transaction(partial(_all, sql, args)) == expected, sql
        tested_for_null = "select id from counted where cast($1 as bigint) is null order by id"
        assert await database.all(tested_for_null, None) == [(1,), (2,), (3,)]
        assert await database.all(tested_for_null, 1) == []


async def values_that_cannot_be_stored_are_refused(opened: OpenDatabase) -> None:
    """Integers that are too large, NUL, surrogates and other types raise a ValueError that does not quote them."""
    async with counted(opened) as database:
        refused: tuple[Any, ...] = (INT64_MAX + 1, INT64_MIN - 1, "secret\0", "secret\ud800", 1.5, bytearray(b"secret"))
        for value in refused:
            for ask in (database.one, database.few, database.all, database.execute):
                with raising(ValueError) as raised:
                    await ask("select id from counted where id = $1", value)
                assert "secret" not in str(raised[0])


async def constraint_violations_differ_from_other_errors(opened: OpenDatabase) -> None:
    """A rejected row, a missing table and an invalid statement are three different errors."""
    async with counted(opened) as database:
        await database.execute(
            "create table child (id bigint primary key references counted (id), n bigint not null check (n > 0))"
        )
        for sql in (
            "insert into counted (id, n) values (1, 1)",
            "insert into child (id, n) values (99, 1)",
            "insert into child (id, n) values (1, 0)",
            "insert into child (id, n) values (1, null)",
        ):
            with raising(ConstraintViolated):
                await database.execute(sql)
        with raising(NoSuchTable):
            await database.one("select id from nowhere")
        for sql in ("selec id", "select nothing from counted"):
            with raising(StatementRefused):
                await database.one(sql)
        assert await database.all("select id from child") == []


async def reads_outside_a_transaction_cannot_write(opened: OpenDatabase) -> None:
    """Outside a transaction, `one` and `all` only read. A write there would not be protected by anything."""
    async with counted(opened) as database:
        for ask in (database.one, database.all):
            with raising(StatementRefused):
                await ask("delete from counted returning id")
        assert await database.one("select count(*) from counted") == (3,)
        assert await database.execute("delete from counted") == 3, "writing still works as before"


async def a_commit_is_visible_to_every_process(opened: OpenDatabase) -> None:
    """After one process has committed, the next read of another process sees it."""
    async with counted(opened) as here, opened() as there:
        for n in range(10):
            await here.execute("update counted set n = $1 where id = 1", n)
            assert await there.one("select n from counted where id = 1") == (n,)
            assert await there.all("select n from counted where id = 1") == [(n,)]


async def the_clock_is_in_microseconds(opened: OpenDatabase) -> None:
    """`now` returns microseconds since the epoch, and advances."""
    async with opened() as database:
        first = await database.now()
        await asyncio.sleep(0.05)
        second = await database.now()
        assert 1_700_000_000_000_000 < first < 4_000_000_000_000_000
        assert 40_000 <= second - first < 10_000_000


async def waiting_for_a_change_ends(opened: OpenDatabase) -> None:
    """It ends after the timeout, and much earlier if this process announces a change."""
    async with counted(opened) as database:
        await database.wait_for_change(0)
        started = time.monotonic()
        await database.wait_for_change(0.1)
        assert time.monotonic() - started < SOON
        waiting = asyncio.create_task(database.wait_for_change(15 * SOON))
        await asyncio.sleep(0.05)
        await database.transaction(lambda tx: tx.announce())
        await asyncio.wait_for(waiting, SOON)


async def a_database_cannot_be_opened_twice(opened: OpenDatabase) -> None:
    """A second `open` is an error and does not affect the first."""
    async with counted(opened) as database:
        with raising(RuntimeError):
            await database.open()
        assert await database.one("select count(*) from counted") == (3,)


async def a_closed_database_is_unavailable(opened: OpenDatabase) -> None:
    """After `close` everything fails in the same way. Closing again is harmless."""
    async with opened() as database:
        await database.close()
        for ask in (database.one, database.all, database.execute):
            with raising(StoreUnavailable):
                await ask("select 1")
        with raising(StoreUnavailable):
            await database.transaction(lambda tx: tx.one("select 1"))
        await database.close()


async def _few(sql: str, args: Sequence[Value], tx: Transaction) -> list[Row]:
    return await tx.few(sql, *args)


async def _all(sql: str, args: Sequence[Value], tx: Transaction) -> list[Row]:
    return await tx.all(sql, *args)


ROW_CHECKS: Final[tuple[DatabaseCheck, ...]] = (
    values_come_back_unchanged,
    one_is_the_first_row_or_none,
    few_are_all_rows,
    touched_rows_are_counted,
    guarded_statements_return_what_they_changed,
    values_that_cannot_be_stored_are_refused,
    constraint_violations_differ_from_other_errors,
    reads_outside_a_transaction_cannot_write,
    a_commit_is_visible_to_every_process,
    the_clock_is_in_microseconds,
    waiting_for_a_change_ends,
    a_database_cannot_be_opened_twice,
    a_closed_database_is_unavailable,
)
