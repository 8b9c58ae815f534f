"""Counters in Valkey with Sentinels or in a cluster, whose primary dies under load."""

import asyncio
import contextlib
import secrets
import time

import pytest

from ostiary.errors import ConfigurationError, StoreUnavailable
from ostiary.store.hot import MICROSECONDS, Rate
from ostiary.store.open import hot_from_url
from ostiary.store.valkey_hot import LONGEST_RESERVATION
from tests.cli.program import Served, run
from tests.machines.daemons import ValkeyNode
from tests.machines.load import Fleet, Session, registered, until
from tests.machines.valkey_groups import Cluster, Watched, in_sync

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

NOW = 1_800_000_000 * MICROSECONDS
QUARANTINE = LONGEST_RESERVATION * MICROSECONDS
ONCE = Rate(1, 3600)
BEFORE = 5
"""Sign-ins before the failover."""


@pytest.fixture(params=[Watched, Cluster], ids=["Sentinel", "Cluster"])
def group(request):
    with contextlib.ExitStack() as stack:
        yield request.param(stack)


@contextlib.asynccontextmanager
async def opened(url):
    hot = hot_from_url(url)
    await hot.open()
    try:
        yield hot
    finally:
        await hot.close()


async def until_it_works(attempt):
    """Every failure on the way is a refusal."""
    refused = 0
    async with asyncio.timeout(60):
        while True:
            try:
                return await attempt(), refused
            except StoreUnavailable:
                refused += 1
                await asyncio.sleep(0.05)


async def test_counters_of_many_subjects_survive_a_failover(group):
    """In a cluster they are spread over all nodes. What was used up stays used up. During the failover, every call is
    refused, and none is let through."""
    keys = [f"subject {number}" for number in range(60)]
    async with opened(group.url) as hot:
        assert [await hot.take(key, ONCE, now=NOW) for key in keys] == [0] * len(keys)
        group.kill_a_primary()
        for key in keys:
            wait, _ = await until_it_works(lambda key=key: hot.take(key, ONCE, now=NOW))
            assert wait > 0


async def test_after_each_failover_reservations_are_refused_until_old_ones_have_expired(group):
    """Also when a former primary takes over again, whose script cache is not empty."""
    async with opened(group.url) as hot:
        with pytest.raises(StoreUnavailable):
            await hot.reserve("first", until=NOW, now=NOW - QUARANTINE)
        assert await hot.reserve("proof", until=NOW + MICROSECONDS, now=NOW)
        assert not await hot.reserve("proof", until=NOW + MICROSECONDS, now=NOW)
        now = NOW
        for _ in range(2):
            await asyncio.to_thread(group.switch_over, "{ostiary:reservations}")
            with pytest.raises(StoreUnavailable, match="lost its state"):
                await reserve_once_reachable(hot, now)
            now += QUARANTINE
            assert await hot.reserve(f"proof at {now}", until=now, now=now)


async def reserve_once_reachable(hot, now):
    async with asyncio.timeout(60):
        while True:
            try:
                return await hot.reserve("again", until=now, now=now)
            except StoreUnavailable as error:
                if "lost its state" in str(error):
                    raise
                await asyncio.sleep(0.05)


async def test_a_first_replica_looks_like_a_failover_and_reservations_are_refused():
    """The primary changes its replication id, although nothing is lost. The mistake is on the safe side."""
    with ValkeyNode(secrets.token_hex(16)) as primary:
        async with opened(f"valkey://:{primary.password}@{primary.address}") as hot:
            with pytest.raises(StoreUnavailable):
                await hot.reserve("first", until=NOW, now=NOW - QUARANTINE)
            assert await hot.reserve("proof", until=NOW + 1, now=NOW)
            with ValkeyNode(primary.password, f"replicaof 127.0.0.1 {primary.port}") as replica:
                until(lambda: in_sync(replica))
                with pytest.raises(StoreUnavailable, match="lost its state"):
                    await hot.reserve("another proof", until=NOW + 1, now=NOW)


async def test_a_wrong_password_is_a_configuration_error(group):
    password = group.url.split("://:")[1].split("@")[0]
    with pytest.raises(ConfigurationError, match="refuses the user or password") as refused:
        await hot_from_url(group.url.replace(f":{password}@", ":unmistakable@")).open()
    assert "unmistakable" not in str(refused.value)


async def test_every_primary_that_may_evict_is_found_at_the_start(group):
    for primary in group.primaries:
        primary.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        with pytest.raises(ConfigurationError, match="noeviction"):
            await hot_from_url(group.url).open()
        primary.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    async with opened(group.url) as hot:
        assert await hot.take("key", ONCE, now=NOW) == 0


async def test_more_callers_at_once_than_connections_are_all_served(group):
    async with opened(group.url) as hot:
        callers = [hot.take(f"subject {number}", ONCE, now=NOW) for number in range(300)]
        assert set(await asyncio.gather(*callers)) == {0}


def test_sign_ins_get_503_during_a_failover_and_then_count_on(group, environ, folder):
    """Never 500. The attempts before and after the failover together are as many as the limit allows."""
    environ = {**environ, "OSTIARY_HOT": group.url, "OSTIARY_SIGN_IN_ACCOUNT_LIMIT": f"{2 * BEFORE}/day"}
    assert run("migrate", folder=folder, environ=environ).returncode == 0
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Served(folder, environ=environ)).ready()
        fleet = stack.enter_context(contextlib.closing(Fleet()))
        fleet.add(server.url)
        session = Session(fleet, registered(fleet))
        seen = [session.sign_in().status_code for _ in range(BEFORE)]
        assert seen == [200] * BEFORE
        group.kill_a_primary()
        started = time.monotonic()
        while time.monotonic() < started + 60 and seen[-3:] != [429] * 3:
            seen.append(session.sign_in().status_code)
        assert set(seen) <= {200, 429, 503}
        assert seen[-3:] == [429] * 3
        assert BEFORE < seen.count(200) <= 2 * BEFORE
        assert "request.failed" not in server.err
