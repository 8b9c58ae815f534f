"""Races: many callers in two processes want the same thing, and exactly one gets it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from ostiary.store.database import Database, Row, Transaction
from ostiary.testing.conformance.opening import DatabaseCheck, OpenDatabase, counted, number

RACERS: Final = 50

T = TypeVar("T")


async def a_row_is_consumed_once(opened: OpenDatabase) -> None:
    """Of 50 callers that ``delete … returning`` a row, one gets it. So a code or token is used once."""

    async def body(tx: Transaction) -> Row | None:
        return await tx.one("delete from counted where id = 2 returning id")

    assert _winners(await _race(opened, body)) == [(2,)]


async def a_guarded_update_succeeds_once(opened: OpenDatabase) -> None:
    """Of 50 callers that update a row only if it is unused, one succeeds. So a refresh token rotates once."""

    async def body(tx: Transaction) -> Row | None:
        return await tx.one("update counted set n = 1 where id = 1 and n = 0 returning n")

    assert _winners(await _race(opened, body)) == [(1,)]


async def a_key_is_inserted_once(opened: OpenDatabase) -> None:
    """Of 50 callers that insert a key ``on conflict do nothing``, one succeeds. So an address is registered once."""

    async def body(tx: Transaction) -> int:
        return await tx.execute("insert into counted (id, n) values (9, 0) on conflict (id) do nothing")

    assert sum(await _race(opened, body)) == 1


async def no_increment_is_lost(opened: OpenDatabase) -> None:
    """50 increments add up to 50, and each caller sees a different number."""

    async def body(tx: Transaction) -> Row | None:
        return await tx.one("update counted set n = n + 1 where id = 1 returning n")

    numbers = [row[0] for row in _winners(await _race(opened, body))]
    assert sorted(numbers) == list(range(1, RACERS + 1))


async def a_locked_row_orders_transactions(opened: OpenDatabase) -> None:
    """All begin with a guarded update of one row, so later reads are up to date. Logout and refresh need this."""

    async def body(tx: Transaction) -> int:
        await tx.one("update counted set n = n where id = 1 returning id")
        row = await tx.one("select n from counted where id = 2")
        assert row is not None
        await tx.execute("update counted set n = $1 where id = 2", row[0] + 1)
        return int(row[0]) + 1

    assert sorted(await _race(opened, body)) == list(range(1, RACERS + 1))


async def a_named_lock_has_one_holder(opened: OpenDatabase) -> None:
    """Under a lock, reading a number and writing it back plus one loses no update, in two processes."""

    async def body(tx: Transaction) -> int:
        await tx.lock("the number")
        row = await tx.one("select n from counted where id = 1")
        assert row is not None
        await tx.execute("update counted set n = $1 where id = 1", row[0] + 1)
        return int(row[0]) + 1

    assert sorted(await _race(opened, body)) == list(range(1, RACERS + 1))


async def deadlocked_transactions_are_retried(opened: OpenDatabase) -> None:
    """Bodies that update two rows in opposite order all succeed, because the backend resolves deadlocks."""

    def moving(source: int, target: int) -> Callable[[Transaction], Awaitable[None]]:
        async def body(tx: Transaction) -> None:
            await tx.execute("update counted set n = n - 1 where id = $1", source)
            await tx.execute("update counted set n = n + 1 where id = $1", target)

        return body

    async with counted(opened) as here, opened() as there:
        await asyncio.gather(
            *(here.transaction(moving(1, 2)) for _ in range(2)), *(there.transaction(moving(2, 1)) for _ in range(2))
        )
        assert [await number(here, row) for row in (1, 2)] == [0, 0]


async def _race(opened: OpenDatabase, body: Callable[[Transaction], Awaitable[T]]) -> list[T]:
    """The result of each caller. Half of them act as another process."""
    async with counted(opened) as here, opened() as there:
        lanes: tuple[Database, ...] = (here, there) * (RACERS // 2)
        return list(await asyncio.gather(*(lane.transaction(body) for lane in lanes)))


def _winners(answers: list[Row | None]) -> list[Row]:
    return [answer for answer in answers if answer is not None]


RACES: Final[tuple[DatabaseCheck, ...]] = (
    a_row_is_consumed_once,
    a_guarded_update_succeeds_once,
    a_key_is_inserted_once,
    no_increment_is_lost,
    a_locked_row_orders_transactions,
    a_named_lock_has_one_holder,
    deadlocked_transactions_are_retried,
)
