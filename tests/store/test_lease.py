"""Leases: one holder at a time, and the next one when it is over, however the last one ended."""

import asyncio
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from ostiary.store.lease import LONGEST, Lease
from ostiary.store.migrations import migrate
from ostiary.store.open import database_from_url

CHILD = Path(__file__).with_name("lease_holder.py")
NOW = 1_800_000_000_000_000
SECOND = 1_000_000

HERE = Lease(name="work", holder="here", lasts=60 * SECOND)
THERE = Lease(name="work", holder="there", lasts=60 * SECOND)


@asynccontextmanager
async def opened(url, count=1):
    async with AsyncExitStack() as stack:
        databases = [database_from_url(url) for _ in range(count)]
        for database in databases:
            await database.open()
            stack.push_async_callback(database.close)
        await migrate(databases[0], [])
        yield databases


def start(*arguments):
    return subprocess.Popen([sys.executable, CHILD, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


async def take(database, lease, *, now):
    return await database.transaction(lambda tx: lease.take(tx, now=now))


async def leave(database, lease, *, until):
    await database.transaction(lambda tx: lease.leave(tx, until=until))


async def test_it_is_held_until_its_end_to_the_microsecond_and_renewed_by_its_holder_alone(database_url):
    async with opened(database_url) as [database]:
        assert await take(database, HERE, now=NOW)
        end = NOW + HERE.lasts
        assert not await take(database, THERE, now=end - 1)
        assert await take(database, HERE, now=end - 1)
        assert not await take(database, THERE, now=end), "the refused one has not shortened it, and it was renewed"
        end += HERE.lasts - 1
        assert not await take(database, THERE, now=end - 1)
        assert await take(database, THERE, now=end)
        assert not await take(database, HERE, now=end), "who was the holder is nobody now"


async def test_leases_of_other_work_are_others(database_url):
    async with opened(database_url) as [database]:
        assert await take(database, HERE, now=NOW)
        assert await take(database, Lease(name="other", holder="there", lasts=SECOND), now=NOW)


async def test_who_leaves_it_says_when_it_is_to_be_had_again_also_for_itself(database_url):
    async with opened(database_url) as [database]:
        for leaving in (HERE, THERE):
            assert await take(database, leaving, now=NOW)
            await leave(database, leaving, until=NOW + 7)
            for lease in (HERE, THERE):
                assert not await take(database, lease, now=NOW + 6)
            assert await take(database, HERE, now=NOW + 7)
            await leave(database, HERE, until=NOW)


async def test_nobody_leaves_what_is_anothers(database_url):
    async with opened(database_url) as [database]:
        assert await take(database, HERE, now=NOW)
        await leave(database, THERE, until=NOW)
        assert not await take(database, THERE, now=NOW)
        await leave(database, Lease(name="never taken", holder="here", lasts=SECOND), until=NOW)
        assert await database.all("select name, holder from store_lease") == [("work", "here")]


async def test_an_end_that_only_a_wrong_clock_can_have_written_counts_for_nothing(database_url):
    """A machine that once believed it was 2040 must not stop all work until then."""
    async with opened(database_url) as [database]:
        assert await take(database, HERE, now=NOW + LONGEST)
        assert await take(database, THERE, now=NOW)
        await leave(database, THERE, until=NOW + LONGEST)
        assert not await take(database, HERE, now=NOW)


async def test_of_fifty_who_ask_at_once_one_gets_it(database_url):
    async with opened(database_url, 2) as databases:
        racers = [Lease(name="work", holder=str(number), lasts=SECOND) for number in range(50)]
        asking = [take(databases[number % 2], racer, now=NOW) for number, racer in enumerate(racers)]
        assert sum(await asyncio.gather(*asking)) == 1


async def test_while_a_transaction_has_taken_it_nobody_else_gets_it_however_late(postgres_url):
    """A portion of work that begins with taking it is alone, though it takes longer than the lease lasts."""
    async with opened(postgres_url, 2) as [database, other]:
        done, taken = [], asyncio.Event()
        short = Lease(name="work", holder="here", lasts=1)

        async def slowly(tx):
            assert await short.take(tx, now=NOW)
            taken.set()
            await tx.one("select pg_sleep(0.3)")
            done.append("here")

        working = asyncio.create_task(database.transaction(slowly))
        await taken.wait()
        assert await take(other, THERE, now=NOW + SECOND)
        done.append("there")
        await working
        assert done == ["here", "there"]


async def test_a_holder_that_is_killed_is_replaced_when_its_lease_has_ended_and_not_before(database_url):
    async with opened(database_url) as [database]:
        with start(database_url, "work", SECOND) as child:
            assert await asyncio.to_thread(child.stdout.readline) == "True\n"
            child.kill()
        ((end,),) = await database.all("select until from store_lease")
        async with asyncio.timeout(10):
            while not await take(database, HERE, now=(now := await database.now())):
                assert now < end
                await asyncio.sleep(0.02)
        assert now >= end
        assert await take(database, HERE, now=now)


async def test_asking_again_later_is_harmless_where_the_answer_was_lost(database_url):
    """A commit whose outcome is unknown: the holder takes it again, and has it."""
    async with opened(database_url) as [database]:
        again = partial(take, database, HERE, now=NOW)
        assert [await again(), await again()] == [True, True]


@pytest.mark.parametrize("lease", [HERE, THERE])
async def test_the_row_names_its_holder(database_url, lease):
    """For whoever wants to know which process is at it."""
    async with opened(database_url) as [database]:
        await take(database, lease, now=NOW)
        assert await database.all("select * from store_lease") == [("work", lease.holder, NOW + lease.lasts)]
