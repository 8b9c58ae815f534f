"""Valkey that is unreachable, loses its state, or must not be trusted."""

import asyncio
import importlib
from contextlib import asynccontextmanager

import pytest
import redis

from ostiary.errors import ConfigurationError, StoreUnavailable
from ostiary.store import valkey_url
from ostiary.store.hot import MICROSECONDS, Rate
from ostiary.store.open import hot_from_url
from ostiary.store.valkey_hot import LONGEST_RESERVATION

NOW = 1_800_000_000 * MICROSECONDS
QUARANTINE = LONGEST_RESERVATION * MICROSECONDS
SECRET = "hunter2"
RIGHTS = "~ostiary:* ~{ostiary:reservations}:* +get +set +evalsha +script|load +info"


def password_in(url):
    return url.split(":")[2].split("@")[0]


@asynccontextmanager
async def opened(url):
    hot = hot_from_url(url)
    await hot.open()
    try:
        yield hot
    finally:
        await hot.close()


@pytest.fixture
def command(valkey_url):
    """Runs a command as the operator of the server."""
    with redis.Redis.from_url(valkey_url.replace("valkey://", "redis://")) as client:
        yield client.execute_command


async def test_an_outage_is_503_until_it_ends(valkey_server, valkey_url):
    """During the outage every call is refused. When the server is back, counters start again."""
    async with opened(valkey_url) as hot:
        assert await hot.take("key", Rate(1, 60), now=NOW) == 0
        assert await hot.take("key", Rate(1, 60), now=NOW) > 0
        valkey_server.stop()
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await hot.take("key", Rate(1, 60), now=NOW)
            with pytest.raises(StoreUnavailable):
                await hot.give_back("key", Rate(1, 60), now=NOW)
            with pytest.raises(StoreUnavailable):
                await hot.reserve("key", until=NOW, now=NOW)
        valkey_server.start()
        assert await hot.take("key", Rate(1, 60), now=NOW) == 0


@pytest.mark.parametrize("loss", ["restart", "flush", "failover"])
async def test_after_a_loss_of_state_reservations_are_refused_for_a_while(valkey_server, valkey_url, command, loss):
    """A proof that was used before the loss would pass again, so all are refused until the old ones have expired."""
    async with opened(valkey_url) as hot:
        with pytest.raises(StoreUnavailable):
            await hot.reserve("settling", until=NOW, now=NOW - QUARANTINE)
        used_until = NOW + QUARANTINE
        assert await hot.reserve("used", until=used_until, now=NOW)
        if loss == "restart":
            valkey_server.stop()
            valkey_server.start()
        elif loss == "flush":
            command("FLUSHALL")
        else:
            command("SCRIPT", "FLUSH")  # a replica that takes over has no scripts, and may lack the latest keys
        for now in (NOW, NOW + 1, NOW + 2, used_until - 1):
            with pytest.raises(StoreUnavailable):
                await hot.reserve("used", until=used_until, now=now)
        assert await hot.reserve("fresh", until=used_until + 2, now=used_until + 1)


async def test_a_reservation_longer_than_the_quarantine_is_an_error(valkey_url):
    async with opened(valkey_url) as hot:
        with pytest.raises(ValueError, match="300 seconds"):
            await hot.reserve("key", until=NOW + QUARANTINE + 1, now=NOW)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_server_that_evicts_is_refused(valkey_url, command, policy):
    """With little memory it would drop counters and proofs."""
    command("CONFIG", "SET", "maxmemory-policy", policy)
    try:
        with pytest.raises(ConfigurationError, match="noeviction"):
            await hot_from_url(valkey_url).open()
    finally:
        command("CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_a_server_without_memory_is_unavailable(valkey_url, command):
    """With noeviction it refuses writes, so the caller is refused."""
    async with opened(valkey_url) as hot:
        assert await hot.take("key", Rate(5, 60), now=NOW) == 0
        command("CONFIG", "SET", "maxmemory", "1")
        try:
            with pytest.raises(StoreUnavailable):
                await hot.take("key", Rate(5, 60), now=NOW)
        finally:
            command("CONFIG", "SET", "maxmemory", "256mb")


async def test_more_callers_at_once_than_connections_are_all_served(valkey_url):
    async with opened(valkey_url) as hot:
        callers = [hot.take(f"key {number}", Rate(1, 60), now=NOW) for number in range(300)]
        assert set(await asyncio.gather(*callers)) == {0}


async def test_callers_do_not_queue_behind_a_server_that_does_not_answer(valkey_url, command):
    """Each waits for a free connection only as long as for an answer. One after the other, they would take minutes."""
    async with opened(valkey_url) as hot:
        command("CLIENT", "PAUSE", 600_000, "WRITE")
        try:
            callers = [hot.take(f"key {number}", Rate(1, 60), now=NOW) for number in range(3000)]
            async with asyncio.timeout(45):
                outcomes = await asyncio.gather(*callers, return_exceptions=True)
        finally:
            command("CLIENT", "UNPAUSE")
        assert {type(each) for each in outcomes} == {StoreUnavailable}
        assert await hot.take("key", Rate(1, 60), now=NOW) == 0


async def test_keys_expire_and_contain_no_personal_data(valkey_url, command):
    """Every key but two expires, and none contains a readable address."""
    async with opened(valkey_url) as hot:
        await hot.take("login:somebody@example.com", Rate(5, 60), now=NOW)
        with pytest.raises(StoreUnavailable):
            await hot.reserve("proof:somebody@example.com", until=NOW, now=NOW - QUARANTINE)
        await hot.reserve("proof:somebody@example.com", until=NOW + MICROSECONDS, now=NOW)
    keys = command("KEYS", "*")
    assert len(keys) == 4
    assert not any(b"somebody" in key for key in keys)
    ends = {key: command("PTTL", key) for key in keys}
    assert {ends.pop(b"{ostiary:reservations}:" + name) for name in (b"born", b"history")} == {-1}
    assert all(0 < milliseconds <= 61_000 + 1 for milliseconds in ends.values())


async def test_a_user_with_the_documented_rights_can_do_everything(valkey_url, command):
    """The rights in docs/machines.md. Without INFO, the script cannot know whether its server has lost anything."""
    command("ACL", "SETUSER", "ostiary", "on", f">{SECRET}", *RIGHTS.split())
    try:
        async with opened(valkey_url.replace("//:", "//ostiary:").replace(password_in(valkey_url), SECRET)) as hot:
            assert await hot.take("key", Rate(1, 60), now=NOW) == 0
            await hot.give_back("key", Rate(1, 60), now=NOW)
            with pytest.raises(StoreUnavailable, match="lost its state"):
                await hot.reserve("key", until=NOW, now=NOW - QUARANTINE)
            assert await hot.reserve("key", until=NOW + 1, now=NOW)
            command("ACL", "SETUSER", "ostiary", "-info")
            with pytest.raises(StoreUnavailable):
                await hot.reserve("another key", until=NOW + 1, now=NOW)
    finally:
        command("ACL", "DELUSER", "ostiary")


async def test_a_wrong_password_is_a_configuration_error(valkey_url):
    """The error is one line, without the password."""
    with pytest.raises(ConfigurationError) as refused:
        await hot_from_url(valkey_url.replace(password_in(valkey_url), SECRET)).open()
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_an_unreachable_server_is_unavailable():
    with pytest.raises(StoreUnavailable) as refused:
        await hot_from_url(f"valkey://:{SECRET}@127.0.0.1:1/0").open()
    assert SECRET not in str(refused.value)


def test_without_redis_py_the_error_says_how_to_install_it(monkeypatch):
    def missing(name):
        raise ImportError(name)

    valkey_url.driver.cache_clear()
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigurationError, match=r"pip install 'ostiary\[valkey\]'"):
        hot_from_url("valkey://localhost")
