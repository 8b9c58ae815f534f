"""Housekeeping runs in one process at a time, and another process takes over when that one is gone."""

import asyncio
import itertools
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ostiary.core import housekeeping
from ostiary.core.housekeeping import SWEEP_SECONDS, Housekeeper
from ostiary.core.plug import Feature
from ostiary.errors import StoreUnavailable
from ostiary.settings import SessionSettings
from ostiary.store.database import SWEEP_ROWS
from ostiary.store.open import database_from_url
from ostiary.testing.world import FrozenClock, Outbox
from tests.core.installation import installation, opened, ostiary
from tests.logged import written

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "postgres"])
def own_url(request, tmp_path):
    """A database without leftovers of other tests."""
    return f"sqlite:///{tmp_path / 'own.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


class Counting:
    """A slice whose sweep finds ``left`` rows and counts its calls."""

    def __init__(self, left=0):
        self.left = left
        self.asked = 0
        self.feature = Feature(name="counting", sweep=self._sweep)

    async def was_asked(self):
        return self.asked > 0

    async def _sweep(self, _tx, _now):
        self.asked += 1
        removed = min(self.left, SWEEP_ROWS)
        self.left -= removed
        return removed


@asynccontextmanager
async def alone(database_url, *settings):
    """An installation with a database in which no housekeeping ran recently."""
    async with installation(database_url, *settings) as house:
        await house.ambient.database.execute("delete from store_lease")
        yield house


@asynccontextmanager
async def two(database_url, *settings, ahead=0.0):
    """Two processes on one database. The clock of the second is ``ahead`` seconds ahead."""
    async with alone(database_url, *settings) as house:
        clock = FrozenClock(house.clock.now())
        clock.advance(ahead)
        async with opened(ostiary(database_url, clock, None, *settings), clock, Outbox()) as other:
            yield house, other


LEASE = "test"


def housekeeper(house, *features):
    """A housekeeper with a lease that differs from the installation's own."""
    made = Housekeeper(house.ambient, features)
    made._lease = replace(made._lease, name=LEASE)
    return made


async def lease(house):
    """The holder of the lease, and the seconds until it ends by the clock of the database."""
    ((holder, until),) = await house.rows("select holder, until from store_lease where name = $1", LEASE)
    return holder, (until - await house.ambient.database.now()) / 1_000_000


def started(url):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.core.housekeeping_child", url],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


async def until(condition):
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 — most of it happens in another process
            await asyncio.sleep(0.02)


async def test_one_of_two_processes_sweeps_and_the_next_run_is_due_only_later(database_url):
    async with two(database_url) as (house, other):
        counting = Counting(3 * SWEEP_ROWS)
        both = [housekeeper(each, counting.feature) for each in (house, other)]
        assert sorted(await asyncio.gather(*(each.tidy() for each in both))) == [False, True]
        assert counting.asked == 4
        holder, seconds = await lease(house)
        assert holder == ""
        assert SWEEP_SECONDS - 10 < seconds <= SWEEP_SECONDS
        assert [await each.tidy() for each in both] == [False, False], "a new process does not run it either"
        assert not await housekeeper(house, counting.feature).tidy()
        assert counting.asked == 4


@pytest.mark.parametrize("ahead", [1, -1, 7200])
async def test_a_process_with_a_wrong_clock_neither_sweeps_concurrently_nor_blocks_the_other(database_url, ahead):
    """Only the clock of the database counts for the lease."""
    async with two(database_url, ahead=ahead) as (house, other):
        counting = Counting()
        here, there = (housekeeper(each, counting.feature) for each in (house, other))
        assert [await there.tidy(), await here.tidy(), await there.tidy()] == [True, False, False]
        await house.ambient.database.execute("update store_lease set until = until - $1", SWEEP_SECONDS * 1_000_000)
        assert [await here.tidy(), await there.tidy()] == [True, False]
        assert counting.asked == 2


async def test_a_row_removed_early_by_a_fast_clock_leads_to_a_refusal_and_no_error(database_url):
    async with two(database_url, SessionSettings(lifetime=600, idle=600), ahead=1) as (house, other):
        ada, bob = [await house.session(await house.person(f"{name}@example.com")) for name in ("ada", "bob")]
        for each in (house, other):
            each.clock.advance(599)
        assert (await house.refresh(ada.refresh)).status_code == 200
        await other.tidy()
        assert await house.rows("select * from sessions") == []
        assert (await house.refresh(bob.refresh)).status_code == 401
        assert (await house.post("/logout", {"refresh_token": bob.refresh})).status_code == 204


async def test_a_process_that_lost_its_lease_stops(database_url):
    """It was paused for longer than its lease. Another process is working, and its lease is not touched."""
    async with alone(database_url) as house:
        now = await house.ambient.database.now()

        async def replaced(tx, _now):
            await tx.execute(
                "update store_lease set holder = 'other', until = $2 where name = $1", LEASE, now + 3600_000_000
            )
            return 0

        earlier = Counting()
        features = [earlier.feature, Feature(name="later", sweep=replaced)]
        assert not await housekeeper(house, *features).tidy()
        assert earlier.asked == 0
        holder, seconds = await lease(house)
        assert holder == "other"
        assert seconds > 3590


async def test_a_closing_process_leaves_the_rest_to_another(database_url, monkeypatch):
    async with alone(database_url) as house:
        monkeypatch.setattr(housekeeping, "FIRST_LOOK_SECONDS", 0.001)
        endless = Counting(10**9)
        closing = housekeeper(house, endless.feature)
        closing.open()
        await until(endless.was_asked)
        await closing.close()
        assert (await lease(house))[0] == ""
        counting = Counting()
        assert await housekeeper(house, counting.feature).tidy(), "at once, not when the lease has expired"
        assert counting.asked == 1


async def test_a_slow_batch_does_not_delay_closing(shared_postgres_url, monkeypatch):
    async with alone(shared_postgres_url) as house:
        monkeypatch.setattr(housekeeping, "FIRST_LOOK_SECONDS", 0.001)
        monkeypatch.setattr(housekeeping, "CLOSE_SECONDS", 0.1)
        begun = Counting()

        async def slow(tx, now):
            await begun.feature.sweep(tx, now)
            await tx.one("select pg_sleep(1.5)")
            return 0

        closing = housekeeper(house, Feature(name="slow", sweep=slow))
        closing.open()
        await until(begun.was_asked)
        asked_at = time.monotonic()
        await closing.close()
        assert time.monotonic() - asked_at < 1


async def test_a_killed_process_is_replaced_when_its_lease_has_expired(own_url):
    """Two real processes: the batches of the second follow those of the first, without any mixing."""
    auth = ostiary(own_url)
    await auth.migrate()
    database = database_from_url(own_url)  # an open installation would be a third process
    await database.open()
    await database.execute("create table portions (n bigint primary key, pid bigint not null)")

    async def who():
        rows = await database.all("select pid from portions order by n")
        return [pid for pid, _ in itertools.groupby(row[0] for row in rows)]

    with started(own_url) as first, started(own_url) as second:
        for child in (first, second):
            assert await asyncio.to_thread(child.stdout.readline) == "open\n"
        await until(who)
        await asyncio.sleep(0.3)
        (holder,) = await who()
        killed, left = (first, second) if holder == first.pid else (second, first)
        killed.kill()

        async def is_replaced():
            return await who() == [killed.pid, left.pid]

        await until(is_replaced)
        await asyncio.to_thread(left.communicate)
        assert left.returncode == 0
    assert await is_replaced()
    await database.close()


async def test_a_new_process_runs_housekeeping_soon(database_url, monkeypatch):
    """It does not wait ten minutes. A process that is restarted every five minutes would otherwise never run it."""
    assert housekeeping.FIRST_LOOK_SECONDS <= 10
    async with alone(database_url) as house:
        await house.session(await house.person())
        house.clock.advance(house.ambient.settings.of(SessionSettings).lifetime)
    monkeypatch.setattr(housekeeping, "FIRST_LOOK_SECONDS", 0.2)
    auth = ostiary(database_url, house.clock)
    async with opened(auth, house.clock, house.outbox) as later:
        await auth.open()  # as servers do

        async def is_swept():
            return await later.rows("select * from sessions") == []

        await until(is_swept)
        await auth.close()


async def test_failures_are_logged_without_their_message_and_retried(sqlite_url, monkeypatch, caplog):
    async with alone(sqlite_url) as house:
        monkeypatch.setattr(housekeeping, "FIRST_LOOK_SECONDS", 0.01)
        monkeypatch.setattr(housekeeping, "LOOK_SECONDS", 0.01)
        counting = Counting()

        async def failing(_tx, _now):
            if not caplog.records:
                raise StoreUnavailable("hunter2")
            return 0

        running = housekeeper(house, counting.feature, Feature(name="failing", sweep=failing))
        running.open()
        await until(counting.was_asked)
        await running.close()
    assert "housekeeping.failed" in written(caplog)
    assert "ostiary.errors.StoreUnavailable" in written(caplog)
    assert "hunter2" not in written(caplog)
