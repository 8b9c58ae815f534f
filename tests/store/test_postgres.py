"""PostgreSQL that goes away and comes back, that refuses, or that is behind a proxy."""

import asyncio
import importlib
import time
from contextlib import asynccontextmanager, closing
from functools import partial

import pytest

from ostiary.errors import ConfigurationError, OutcomeUnknown, StatementRefused, StoreUnavailable
from ostiary.store.migrations import Migrations, migrate
from ostiary.store.open import database_from_url
from ostiary.store.postgres import driver, job
from ostiary.testing.conformance import DATABASE_CHECKS, name_of
from ostiary.testing.conformance.feed import FEED_CHECKS, a_follower_is_updated_soon
from ostiary.testing.conformance.marks import MARK_CHECKS
from tests.store.proxies import Line, Pooler, listening

SECRET = "hunter2"


@asynccontextmanager
async def opened(url):
    database = database_from_url(url)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def counted(url):
    async with opened(url) as database:
        await database.execute("create table counted (id bigint primary key, n bigint not null)")
        await database.execute("insert into counted (id, n) values (1, 0)")
        yield database


async def increment(tx):
    await tx.execute("update counted set n = n + 1 where id = 1")


async def count(database):
    (n,) = await database.one("select n from counted")
    return n


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 — tasks of this loop change it
            await asyncio.sleep(0.01)


async def until_it_works(attempt):
    async with asyncio.timeout(20):
        while True:
            try:
                return await attempt()
            except StoreUnavailable:
                await asyncio.sleep(0.02)


async def test_a_restart_of_the_server_is_503_until_it_is_back(postgres_server, postgres_url):
    """Under load, every caller gets a true answer or 503, no confirmed commit is lost, and the service recovers."""
    async with counted(postgres_url) as database:
        confirmed, unknown, refused = 0, 0, 0
        stopping = asyncio.Event()

        async def caller():
            nonlocal confirmed, unknown, refused
            while not stopping.is_set():
                try:
                    await database.transaction(increment)
                    confirmed += 1
                except OutcomeUnknown:
                    unknown += 1
                except StoreUnavailable:
                    refused += 1
                    await asyncio.sleep(0.05)

        callers = [asyncio.create_task(caller()) for _ in range(8)]
        await until(lambda: confirmed > 0)
        await asyncio.to_thread(postgres_server.stop)
        with pytest.raises(StoreUnavailable):
            await database.one("select n from counted")
        with pytest.raises(StoreUnavailable):
            await database.transaction(increment)
        before = confirmed
        await asyncio.to_thread(postgres_server.start)
        await until_it_works(partial(database.one, "select n from counted"))
        await until(lambda: confirmed > before)
        stopping.set()
        await asyncio.gather(*callers)
        assert refused > 0
        assert confirmed <= await count(database) <= confirmed + unknown


async def test_waiting_for_changes_works_after_a_restart(postgres_server, postgres_url, monkeypatch):
    """The listening connection is replaced too."""
    monkeypatch.setattr("ostiary.store.postgres.listener.RECONNECT_SECONDS", 0.05)
    async with opened(postgres_url) as here, opened(postgres_url) as there:
        for restart in (False, True):
            if restart:
                await asyncio.to_thread(postgres_server.stop)
                await asyncio.to_thread(postgres_server.start)
                await until_it_works(partial(there.one, "select 1"))
                await here.wait_for_change(10)  # it wakes us when it listens again: it may have missed something
            await here.wait_for_change(0.2)
            waiting = asyncio.create_task(here.wait_for_change(30))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            await there.transaction(lambda tx: tx.announce())
            await asyncio.wait_for(waiting, 2)


async def test_changes_are_announced_after_the_commit_and_together(postgres_url):
    """PostgreSQL commits one transaction with a NOTIFY at a time, in all of its databases. So no transaction has one,
    and a burst of changes needs few."""
    line = Line()
    async with listening(postgres_url, line.serve) as url, counted(url) as here, opened(postgres_url) as there:
        await until_it_works(partial(there.wait_for_change, 0.2))
        for _ in range(100):
            waiting = asyncio.create_task(there.wait_for_change(30))
            await asyncio.gather(*(here.transaction(announced_increment) for _ in range(10)))
            await asyncio.wait_for(waiting, 5)
        writing = [sent for sent in line.sent if any(b"update counted" in message for message in sent)]
        notifying = [message for sent in line.sent for message in sent if b"notify" in message]
        assert writing
        assert not any(b"notify" in message for sent in writing for message in sent)
        assert 0 < len(notifying) < 1000 / 2
        assert await count(here) == 1000


async def announced_increment(tx):
    await increment(tx)
    await tx.announce()


@pytest.mark.parametrize("obeyed", [False, True], ids=["commit lost", "answer lost"])
async def test_a_connection_that_breaks_at_the_commit_leaves_the_outcome_unknown(postgres_url, obeyed):
    """The caller cannot know whether the server got the commit, and the error says so."""
    line = Line()
    async with listening(postgres_url, line.serve) as url, counted(postgres_url) as direct, opened(url) as database:
        await database.transaction(increment)
        line.break_at, line.obey = b"commit\0", obeyed
        with pytest.raises(OutcomeUnknown):
            await database.transaction(increment)
        line.break_at = None
        assert await count(direct) == (2 if obeyed else 1)
        await until_it_works(partial(database.transaction, increment))


async def test_a_connection_that_breaks_before_the_commit_changes_nothing(postgres_url):
    """The answer is a plain 503, so the caller can safely try again."""
    line = Line()
    async with listening(postgres_url, line.serve) as url, counted(postgres_url) as direct, opened(url) as database:
        for at in (b"begin isolation", b"update counted"):
            line.break_at = at
            with pytest.raises(StoreUnavailable) as lost:
                await database.transaction(increment)
            assert type(lost.value) is StoreUnavailable
        line.break_at = b"select n from counted"
        with pytest.raises(StoreUnavailable):
            await count(database)
        line.break_at = None
        assert await count(direct) == 0
        await until_it_works(partial(database.transaction, increment))


async def test_waiting_for_a_row_lock_times_out(postgres_url, monkeypatch):
    """A statement that waits for another transaction's lock times out. With patience it waits longer."""
    monkeypatch.setattr("ostiary.store.postgres.url.STATEMENT_SECONDS", 0.3)
    async with counted(postgres_url) as database, opened(postgres_url) as other:
        finish = asyncio.Event()
        pool = other._connections
        async with pool.lend() as holder:
            await holder.execute("begin read write")
            await holder.execute("update counted set n = n + 10")
            started = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await database.transaction(increment)
            assert time.monotonic() - started < 5
            patient = asyncio.create_task(database.transaction(increment, patience=20))
            await asyncio.sleep(0.6)
            assert not patient.done()
            await holder.execute("commit")
            finish.set()
        await patient
        assert await count(database) == 11


async def test_a_migration_that_waits_for_a_lock_does_not_stop_the_servers(postgres_url, monkeypatch):
    """A dump reads the table all the time. A statement that waits for its lock makes every later read of the table
    queue behind it."""
    monkeypatch.setattr(job, "LOCK_SECONDS", 1)
    doors = Migrations("doors", lambda: {"0001_doors.sql": "create table doors (id text)"})
    wider = Migrations("doors", lambda: {**doors.read(), "0002_width.sql": "alter table doors add width bigint"})
    async with opened(postgres_url) as database, opened(postgres_url) as other:
        await migrate(database, [doors])
        dump = await driver.asyncpg().connect(postgres_url)
        reading = dump.transaction(isolation="repeatable_read")
        await reading.start()
        await dump.fetch("select * from doors")
        migrating = asyncio.create_task(migrate(database, [wider]))
        waiting = "select count(*) from pg_locks where relation = 'doors'::regclass and not granted"
        while await dump.fetchval(waiting) == 0:  # noqa: ASYNC110 — the server changes it
            await asyncio.sleep(0.01)
        for _ in range(3):  # each would fail after ten seconds
            assert await other.all("select id from doors") == []
            await asyncio.sleep(0.5)
        assert not migrating.done()
        await reading.rollback()
        await dump.close()
        assert [each.name for each in await migrating] == ["0002_width.sql"]


async def test_a_lock_that_is_never_free_ends_a_migration_when_its_patience_ends(postgres_url, monkeypatch):
    monkeypatch.setattr(job, "LOCK_SECONDS", 1)
    monkeypatch.setattr(job, "LOCK_PAUSE", 0.1)
    attempts = 0

    async def body(tx):
        nonlocal attempts
        attempts += 1
        await tx.execute("alter table counted add more bigint")

    async with counted(postgres_url) as database:
        dump = await driver.asyncpg().connect(postgres_url)
        async with dump.transaction():
            await dump.fetch("select * from counted")
            with pytest.raises(StoreUnavailable, match="lock timeout"):
                await database.transaction(body, patience=1.5)
        await dump.close()
        assert attempts == 2


async def test_an_unreachable_server_is_unavailable():
    """The error is one line, without the password."""
    database = database_from_url(f"postgresql://somebody:{SECRET}@127.0.0.1:1/nothing")
    with pytest.raises(StoreUnavailable) as refused:
        await database.open()
    assert_says(refused, "127.0.0.1:1/nothing")
    await database.close()


async def test_a_refused_login_is_a_configuration_error(postgres_server, postgres_url):
    """A wrong password or database name is one line, without the password. A retry would not help."""
    wrong_password = postgres_url.replace("postgres:", f"postgres:{SECRET}", 1)
    for url, reason in ((wrong_password, "password"), (postgres_server.url("nowhere"), "nowhere")):
        database = database_from_url(url)
        with pytest.raises(ConfigurationError) as refused:
            await database.open()
        assert_says(refused, reason)
        assert url.split(":")[2].split("@")[0] not in str(refused.value)


def assert_says(refused, what):
    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value)
    assert what in str(refused.value)


async def test_a_server_that_may_lose_commits_is_refused(postgres_url):
    """With synchronous_commit=off, confirmed commits are not durable."""
    async with opened(postgres_url) as database:
        name = postgres_url.rpartition("/")[2]
        await database.execute(f"alter database {name} set synchronous_commit = off")
    with pytest.raises(ConfigurationError, match="synchronous_commit"):
        await database_from_url(postgres_url).open()


def test_without_asyncpg_the_error_says_how_to_install_it(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    driver.asyncpg.cache_clear()
    with pytest.raises(ConfigurationError, match=r"pip install 'ostiary\[postgres\]'"):
        database_from_url("postgresql://localhost/x")


@asynccontextmanager
async def pooled(url):
    """The URL of a transaction-pooling proxy, and the proxy."""
    with closing(Pooler()) as pooler:
        async with listening(url, pooler.serve) as proxy_url:
            yield proxy_url, pooler


THROUGH_A_PROXY = [
    check for check in DATABASE_CHECKS if check not in FEED_CHECKS + MARK_CHECKS or check is a_follower_is_updated_soon
]
"""Only the feed's polling is checked here. The rest of the feed uses what the other checks cover."""


@pytest.mark.parametrize("check", THROUGH_A_PROXY, ids=name_of)
async def test_behind_a_pooling_proxy(check, postgres_url):
    """The suite, with each transaction on a different connection of the server."""
    async with pooled(postgres_url) as (url, pooler):
        await check(partial(opened, f"{url}?pooler=true"))
        assert pooler.lent > 0


async def test_behind_a_pooling_proxy_the_defaults_fail(postgres_url):
    """This is why `pooler=true` exists: cached statements are on the connection of another transaction."""
    async with pooled(postgres_url) as (url, _), opened(url) as database:
        questions = (database.one("select cast($1 as bigint)", n) for n in range(50))
        answers = await asyncio.gather(*questions, return_exceptions=True)
        assert {type(answer) for answer in answers} & {StatementRefused, StoreUnavailable}


async def test_after_a_failed_write_the_server_is_ready_only_when_a_write_works(postgres_url, monkeypatch):
    monkeypatch.setattr("ostiary.store.writes.PROBE_SECONDS", 0)
    line = Line()
    async with listening(postgres_url, line.serve) as url, counted(postgres_url) as direct, opened(url) as database:
        await migrate(direct, [])
        await database.check_writes()
        line.break_at = b"begin isolation"
        with pytest.raises(StoreUnavailable):
            await database.transaction(increment)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await database.check_writes()
        line.break_at = None
        await until_it_works(database.check_writes)
        assert await direct.one("select count(*) from store_lease") == (1,)
