"""Leases have one holder at a time. After the expiry there is a next holder, however the last one ended."""

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


async def test_a_lease_lasts_exactly_until_its_end_and_only_its_holder_renews_it(database_url):
    async with opened(database_url) as [database]:
        assert await take(database, HERE, now=NOW)
        end = NOW + HERE.lasts
        assert not await take(database, THERE, now=end - 1)
        assert await take(database, HERE, now=end - 1)
        assert not await take(database, THERE, now=end), "the refused call did not shorten the lease, which was renewed"
        end += HERE.lasts - 1
        assert not await take(database, THERE, now=end - 1)
        assert await take(database, THERE, now=end)
        assert not await take(database, HERE, now=end), "the former holder has no privilege"


async def test_leases_for_different_work_are_independent(database_url):
    async with opened(database_url) as [database]:
        assert await take(database, HERE, now=NOW)
        assert await take(database, Lease(name="other", holder="there", lasts=SECOND), now=NOW)


async def test_leaving_sets_when_any_process_can_take_it_again(database_url):
    async with opened(database_url) as [database]:
        for leaving in (HERE, THERE):
            assert await take(database, leaving, now=NOW)
            await leave(database, leaving, until=NOW + 7)
            for lease in (HERE, THERE):
                assert not await take(database, lease, now=NOW + 6)
            assert await take(database, HERE, now=NOW + 7)
            await leave(database, HERE, until=NOW)


async def test_a_process_cannot_leave_the_lease_of_another(database_url):
    async with opened(database_url) as [database]:
        assert await take(database, HERE, now=NOW)
        await leave(database, THERE, until=NOW)
        assert not await take(database, THERE, now=NOW)
        await leave(database, Lease(name="never taken", holder="here", lasts=SECOND), until=NOW)
        assert await database.all("select name, holder from store_lease") == [("work", "here")]


async def test_an_end_that_a_wrong_clock_has_written_is_ignored(database_url):
    """A machine whose clock was once in 2040 must not stop all work until then."""
    async with opened(database_url) as [database]:
        assert await take(database, HERE, now=NOW + LONGEST)
        assert await take(database, THERE, now=NOW)
        await leave(database, THERE, until=NOW + LONGEST)
        assert not await take(database, HERE, now=NOW)


async def test_one_of_fifty_concurrent_callers_gets_it(database_url):
    async with opened(database_url, 2) as databases:
        racers = [Lease(name="work", holder=str(number), lasts=SECOND) for number in range(50)]
        asking = [take(databases[number % 2], racer, now=NOW) for number, racer in enumerate(racers)]
        assert sum(await asyncio.gather(*asking)) == 1


async def test_no_other_process_gets_it_before_the_transaction_that_took_it_commits(postgres_url):
    """Work that begins with taking the lease runs alone, even if it takes longer than the lease lasts."""
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


async def test_a_killed_holder_is_replaced_only_after_its_lease_has_ended(database_url):
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


async def test_taking_it_again_after_a_lost_answer_is_harmless(database_url):
    """After a commit with an unknown outcome, the holder takes the lease again and has it."""
    async with opened(database_url) as [database]:
        again = partial(take, database, HERE, now=NOW)
        assert [await again(), await again()] == [True, True]


@pytest.mark.parametrize("lease", [HERE, THERE])
async def test_the_row_names_its_holder(database_url, lease):
    """Operators can see which process does the work."""
    async with opened(database_url) as [database]:
        await take(database, lease, now=NOW)
        assert await database.all("select * from store_lease") == [("work", lease.holder, NOW + lease.lasts)]
