"""Several PostgreSQL servers in one URL: whatever happens to one of them, the one that accepts writes is used."""

import asyncio
import socket
import urllib.parse
from contextlib import asynccontextmanager, closing
from functools import partial

import pytest

from ostiary.errors import ConfigurationError, OutcomeUnknown, StoreUnavailable
from ostiary.store.open import database_from_url
from tests.servers import PostgresServer, memory_folder


@pytest.fixture
def primary():
    with closing(PostgresServer(parent=memory_folder())) as server:
        yield server


@pytest.fixture
def standby(primary):
    with closing(PostgresServer(parent=memory_folder(), primary=primary)) as server:
        yield server


class Address:
    def __init__(self, port):
        self.port = port


DEAD = Address(1)
"""Nothing listens there."""


def url_of(*servers):
    parts = urllib.parse.urlsplit(servers[-1].url("postgres"))
    hosts = ",".join(f"127.0.0.1:{each.port}" for each in servers)
    return parts._replace(netloc=f"{parts.username}:{parts.password}@{hosts}").geturl()


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
    async with asyncio.timeout(30):
        while True:
            try:
                return await attempt()
            except StoreUnavailable:
                await asyncio.sleep(0.02)


async def test_the_host_that_accepts_writes_is_found_wherever_it_is_in_the_url(primary, standby):
    async with counted(url_of(primary)):
        pass
    for hosts in ((primary, standby), (standby, primary), (DEAD, standby, primary)):
        async with opened(f"{url_of(*hosts)}?target_session_attrs=read-write") as database:
            await database.transaction(increment)
            assert await database.one("select pg_is_in_recovery()") == (False,)


async def test_a_standby_alone_is_unavailable_and_not_wrong(primary, standby):
    """It may be promoted in a moment. Until then, nobody is told that the URL is wrong."""
    async with counted(url_of(primary)):
        pass
    database = database_from_url(url_of(standby))
    with pytest.raises(StoreUnavailable, match="accepts writes"):
        await database.open()


@pytest.mark.parametrize("order", [1, -1])
async def test_a_wrong_password_is_reported_even_if_another_host_is_down(primary, order):
    """Otherwise it looks as if no server answers, and the login is tried again for ever."""
    password = urllib.parse.urlsplit(primary.url("postgres")).password
    parts = urllib.parse.urlsplit(url_of(primary))
    hosts = ",".join([f"127.0.0.1:{DEAD.port}", f"127.0.0.1:{primary.port}"][::order])
    url = parts._replace(netloc=f"{parts.username}:not{password}@{hosts}").geturl()
    with pytest.raises(ConfigurationError, match="password authentication failed"):
        await database_from_url(url).open()


async def test_after_a_failover_callers_get_503_and_then_the_new_primary(primary, standby):
    """The primary is killed and the standby promoted, while callers write. No confirmed commit is lost here, because
    the standby has received all. When the old primary is back as a standby, nobody writes or reads there."""
    async with counted(url_of(primary)):
        pass
    async with opened(url_of(primary, standby)) as database:
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
        await asyncio.to_thread(primary.stop, "fast")  # the standby receives everything before it ends
        before = confirmed
        with pytest.raises(StoreUnavailable):
            await database.transaction(increment)
        await asyncio.to_thread(standby.promote)
        await until_it_works(partial(database.transaction, increment))
        await until(lambda: confirmed > before)
        stopping.set()
        await asyncio.gather(*callers)
        assert confirmed <= await count(database) - 1 <= confirmed + unknown
        primary.follow(standby)
        await asyncio.to_thread(primary.start)
        found = await asyncio.gather(*(database.one("select inet_server_port()") for _ in range(20)))
        assert set(found) == {(standby.port,)}


async def test_a_host_that_never_answers_does_not_hide_the_next(primary):
    """It accepts connections and is silent, as a server behind a broken network looks. The next host is asked before
    callers give up, and first from then on."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with counted(url_of(Address(silent.getsockname()[1]), primary)) as database:
            await asyncio.gather(*(database.transaction(increment) for _ in range(20)))
            assert await count(database) == 20


async def test_a_connection_that_became_read_only_is_dropped(primary):
    """A server that takes the right to write away from a session, as some hosted databases do before a failover."""

    async def becomes_read_only(tx):
        await tx.execute("set transaction read only")
        await increment(tx)

    async with counted(url_of(primary)) as database:
        (before,) = await database.one("select pg_backend_pid()")
        with pytest.raises(StoreUnavailable):
            await database.transaction(becomes_read_only)
        (after,) = await database.one("select pg_backend_pid()")
        assert before != after
        await database.transaction(increment)
        assert await count(database) == 1
