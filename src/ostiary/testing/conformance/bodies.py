"""Transaction bodies: all or nothing, alone or in a shared commit, and they await only their transaction."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import Any, Final

from ostiary.errors import ConstraintViolated
from ostiary.store.database import Database, Transaction
from ostiary.testing.conformance.opening import DatabaseCheck, OpenDatabase, counted, eventually, number, raising

MANY: Final = 60

_remembered: contextvars.ContextVar[str] = contextvars.ContextVar("remembered", default="nothing")


class Refused(Exception):
    """A body raises this to be rolled back."""


async def a_body_returns_its_result_and_sees_its_own_writes(opened: OpenDatabase) -> None:
    """The result is returned after the commit. Inside, each statement sees the ones before it."""

    async def body(tx: Transaction) -> tuple[Any, ...]:
        assert await tx.execute("update counted set n = 5 where id = 1") == 1
        row = await tx.one("select n from counted where id = 1")
        return ("result", row, await tx.all("delete from counted where id = 2 returning id"))

    async with counted(opened) as database, opened() as elsewhere:
        assert await database.transaction(body) == ("result", (5,), [(2,)])
        assert await elsewhere.all("select id, n from counted order by id") == [(1, 5), (3, 0)]


async def a_body_that_raises_is_rolled_back(opened: OpenDatabase) -> None:
    """Its own error reaches its caller unchanged, and none of its writes stay."""
    refusal = Refused("no")

    async def body(tx: Transaction) -> None:
        await tx.execute("update counted set n = 5")
        raise refusal

    async with counted(opened) as database:
        with raising(Refused) as raised:
            await database.transaction(body)
        assert raised == [refusal]
        assert await number(database, 1) == 0


async def a_returned_refusal_is_committed(opened: OpenDatabase) -> None:
    """Returning an error commits what was written, so a failed attempt is counted."""

    async def body(tx: Transaction) -> Refused:
        await tx.execute("update counted set n = n + 1 where id = 1")
        return Refused("wrong password")

    async with counted(opened) as database:
        assert isinstance(await database.transaction(body), Refused)
        assert await number(database, 1) == 1


async def failing_bodies_do_not_affect_others(opened: OpenDatabase) -> None:
    """Of many concurrent bodies, only those that raise, violate a constraint or await something else fail."""

    def member(index: int) -> Callable[[Transaction], Awaitable[int]]:
        async def body(tx: Transaction) -> int:
            await tx.execute("insert into counted (id, n) values ($1, 1)", 100 + index)
            if index % 4 == 1:
                raise Refused(str(index))
            if index % 4 == 2:
                await tx.execute("insert into counted (id, n) values (1, 1)")
            if index % 4 == 3:
                await asyncio.sleep(0)
            return index

        return body

    expected: dict[int, type[Exception]] = {1: Refused, 2: ConstraintViolated, 3: RuntimeError}
    async with counted(opened) as database:
        answers = await asyncio.gather(
            *(database.transaction(member(index)) for index in range(MANY)), return_exceptions=True
        )
        for index, answer in enumerate(answers):
            if index % 4 == 0:
                assert answer == index
            else:
                assert type(answer) is expected[index % 4], answer
        kept = await database.all("select id from counted where id >= 100 order by id")
        assert kept == [(100 + index,) for index in range(0, MANY, 4)]


async def cancelled_callers_do_not_affect_others(opened: OpenDatabase) -> None:
    """When callers are cancelled, their bodies are applied completely or not at all, and all others are applied."""

    def member(index: int) -> Callable[[Transaction], Awaitable[None]]:
        async def body(tx: Transaction) -> None:
            await tx.execute("insert into counted (id, n) values ($1, 1)", 100 + index)
            await tx.execute("insert into counted (id, n) values ($1, 1)", 10_000 + index)

        return body

    async with counted(opened) as database:
        callers = [asyncio.create_task(database.transaction(member(index))) for index in range(MANY)]
        for cancelled in range(0, MANY, 3):
            await asyncio.sleep(0.0005 if cancelled % 2 else 0)
            callers[cancelled].cancel()
        await asyncio.wait(callers)
        await database.execute("update counted set n = 2 where id = 1")  # runs after all running transactions
        rows = {row[0] for row in await database.all("select id from counted where id >= 100")}
        assert {row - 9_900 for row in rows if row >= 10_000} == {row for row in rows if row < 10_000}
        for index, caller in enumerate(callers):
            if not caller.cancelled():
                caller.result()
                assert 100 + index in rows


async def a_body_that_has_not_begun_does_not_run_after_cancelling(opened: OpenDatabase) -> None:
    """A caller that is cancelled before its turn leaves nothing behind."""
    begun = []

    async def body(tx: Transaction) -> None:
        begun.append(tx)

    async with counted(opened) as database:
        caller = asyncio.create_task(database.transaction(body))
        await asyncio.sleep(0)
        assert not begun, "the check needs a backend whose transactions take one turn of the event loop to begin"
        caller.cancel()
        await asyncio.wait([caller])
        await database.execute("update counted set n = 1 where id = 1")
        assert caller.cancelled()
        assert not begun


async def a_finished_body_is_not_undone_by_cancelling(opened: OpenDatabase) -> None:
    """After a body's end and before its caller's answer, cancelling the caller does not cancel the commit."""
    finished = asyncio.Event()

    async def body(tx: Transaction) -> None:
        await tx.execute("update counted set n = 7 where id = 1")
        finished.set()

    async with counted(opened) as database:
        caller = asyncio.create_task(database.transaction(body))
        await finished.wait()
        caller.cancel()
        await asyncio.wait([caller])
        assert caller.cancelled()
        await database.execute("update counted set n = 1 where id = 2")
        await eventually(lambda: _is_seven(database))


async def _is_seven(database: Database) -> bool:
    return await number(database, 1) == 7


async def a_body_may_only_await_its_transaction(opened: OpenDatabase) -> None:
    """A sleep, another transaction or an outside read is refused and rolled back, even if the error is caught."""
    async with counted(opened) as database:
        foreign: tuple[Callable[[Transaction], Awaitable[object]], ...] = (
            lambda _: asyncio.sleep(0),
            lambda _: asyncio.sleep(0.01),
            lambda _: asyncio.get_running_loop().create_future(),
            lambda _: database.transaction(lambda tx: tx.execute("update counted set n = 9")),
            lambda _: database.one("select n from counted"),
            lambda _: database.all("select n from counted"),
        )
        for awaiting in foreign:
            for catching in (False, True):
                with raising(RuntimeError):
                    await database.transaction(_misbehaving(awaiting, catching=catching))
        await database.execute("update counted set n = n + 1 where id = 2")
        assert await database.all("select id, n from counted order by id") == [(1, 0), (2, 1), (3, 0)]


def _misbehaving(
    awaiting: Callable[[Transaction], Awaitable[object]], *, catching: bool
) -> Callable[[Transaction], Awaitable[None]]:
    async def body(tx: Transaction) -> None:
        await tx.execute("update counted set n = 5")
        try:
            await awaiting(tx)
        except RuntimeError:
            if not catching:
                raise

    return body


async def a_failed_statement_ends_the_transaction(opened: OpenDatabase) -> None:
    """A body cannot go on after an error or return as if there had been none: PostgreSQL has rolled it back."""
    second: list[type[BaseException]] = []

    async def body(tx: Transaction) -> str:
        await tx.execute("update counted set n = 5 where id = 1")
        try:
            await tx.execute("insert into counted (id, n) values (1, 1)")
        except ConstraintViolated:
            try:
                await tx.execute("update counted set n = 6 where id = 1")
            except RuntimeError as error:
                second.append(type(error))
        return "all is well"

    async with counted(opened) as database:
        with raising(ConstraintViolated):
            await database.transaction(body)
        assert second == [RuntimeError]
        assert await number(database, 1) == 0


async def a_transaction_ends_with_its_body(opened: OpenDatabase) -> None:
    """A transaction cannot be used after its body has ended."""
    kept: list[Transaction] = []

    async def body(tx: Transaction) -> None:
        kept.append(tx)

    async with counted(opened) as database:
        await database.transaction(body)
        for use in (kept[0].execute, kept[0].one, kept[0].all):
            with raising(RuntimeError):
                await use("update counted set n = 9 returning n")
        assert await number(database, 1) == 0


async def a_body_runs_in_its_callers_context(opened: OpenDatabase) -> None:
    """The body sees the caller's context variables, such as the request id of a log line."""

    async def body(_tx: Transaction) -> str:
        return _remembered.get()

    async def caller(database: Database, name: str) -> str:
        _remembered.set(name)
        return await database.transaction(body)

    async with counted(opened) as database:
        names = [str(index) for index in range(20)]
        assert await asyncio.gather(*(caller(database, name) for name in names)) == names


async def closing_waits_for_running_transactions(opened: OpenDatabase) -> None:
    """`close` waits for running transactions. Each of them has its answer and its row."""

    async def body(tx: Transaction) -> int:
        return await tx.execute("update counted set n = n + 1 where id = 1")

    async with counted(opened) as database, opened() as elsewhere:
        callers = [asyncio.create_task(database.transaction(body)) for _ in range(MANY)]
        await asyncio.sleep(0)
        await database.close()
        answers = await asyncio.gather(*callers, return_exceptions=True)
        assert answers.count(1) == await number(elsewhere, 1)
        assert answers.count(1) == MANY, answers


BODY_CHECKS: Final[tuple[DatabaseCheck, ...]] = (
    a_body_returns_its_result_and_sees_its_own_writes,
    a_body_that_raises_is_rolled_back,
    a_returned_refusal_is_committed,
    failing_bodies_do_not_affect_others,
    cancelled_callers_do_not_affect_others,
    a_body_that_has_not_begun_does_not_run_after_cancelling,
    a_finished_body_is_not_undone_by_cancelling,
    a_body_may_only_await_its_transaction,
    a_failed_statement_ends_the_transaction,
    a_transaction_ends_with_its_body,
    a_body_runs_in_its_callers_context,
    closing_waits_for_running_transactions,
)
