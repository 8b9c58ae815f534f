"""`ValkeyHot`: the `Hot` port on Valkey or Redis, which takes this load off the database.

Use one server, a primary with replicas that Sentinels watch, or a cluster. A cluster spreads the counters over its
nodes, one key each. All reservations are in one slot, because a script that reserves also reads whether the state is
complete.

A loss of state is dangerous only for reservations: a second use then looks like a first. A restart is detected by an
empty script cache, a failover by another replication id, and a flush by a missing key. Then nothing can be reserved
until all reservations that may have existed before have expired.

The replication id also changes without a loss: when a primary gets its first replica, and when it has had none for
`repl-backlog-ttl` (an hour). That cannot be told from a failover, so it is treated as one.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from ostiary.errors import ConfigurationError, StoreUnavailable
from ostiary.store.hot import MICROSECONDS, Rate, hashed
from ostiary.store.valkey_url import ANSWER_SECONDS, close, driver, errors, parsed

LONGEST_RESERVATION: Final = 300
"""Seconds. After a loss of state, nothing can be reserved for this long."""

EXPIRY_SLACK: Final = 1000
"""Milliseconds that keys outlive their use, because clocks of nodes may differ by a second (`ostiary doctor`)."""

MOST_CONNECTIONS: Final = 50
"""Half of what redis-py opens to one server before it raises. More callers wait for their turn, which one server gives
them within milliseconds."""

_BORN: Final = "{ostiary:reservations}:born"
"""The key for the time, in microseconds, since which this state has been complete. In a cluster, keys with the same
text in braces are in the same slot, so one script may use them."""

_HISTORY: Final = "{ostiary:reservations}:history"
"""The key for the replication id of the server that vouches for this. A replica that takes over gets a new one."""


@dataclass(frozen=True, slots=True)
class _Script:
    text: str

    @property
    def sha(self) -> str:
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()  # the name that EVALSHA takes


# Numbers are doubles in Lua: exact up to 2^53, which is the year 2255 in microseconds.
# KEYS: counter. ARGV: now, interval, the latest full_at that still allows a take, slack, the latest right full_at.
_TAKE: Final = _Script("""
local now, interval, latest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full_at = tonumber(redis.call('GET', KEYS[1]) or ARGV[1])
if full_at > tonumber(ARGV[5]) then full_at = now end
if full_at > latest then return full_at - latest end
full_at = math.max(full_at, now) + interval
local keep = math.ceil((full_at - now) / 1000) + tonumber(ARGV[4])
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', string.format('%.0f', keep))
return 0
""")

# KEYS: counter. ARGV: now, interval.
_GIVE_BACK: Final = _Script("""
local full_at = tonumber(redis.call('GET', KEYS[1]) or ARGV[1])
full_at = math.max(full_at - tonumber(ARGV[2]), tonumber(ARGV[1]))
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'XX', 'KEEPTTL')
return 0
""")

# KEYS: reservation, _BORN, _HISTORY. ARGV: now, until, how long nothing can be reserved after a loss, slack.
_RESERVE: Final = _Script("""
local now, till = tonumber(ARGV[1]), tonumber(ARGV[2])
local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local born = redis.call('GET', KEYS[2])
if not born or redis.call('GET', KEYS[3]) ~= history then
    born = ARGV[1]
    redis.call('SET', KEYS[2], born)
    redis.call('SET', KEYS[3], history)
end
if now < tonumber(born) + tonumber(ARGV[3]) then return -1 end
local reserved = tonumber(redis.call('GET', KEYS[1]) or '0')
if reserved > now then return 0 end
local keep = math.max(math.ceil((till - now) / 1000), 0) + tonumber(ARGV[4])
redis.call('SET', KEYS[1], ARGV[2], 'PX', string.format('%.0f', keep))
return 1
""")


class ValkeyHot:
    """``url``: ``valkey://[user:password@]host[:port][/number]``, ``valkey+sentinel://…host[,host…]/service[/number]``
    or ``valkey+cluster://…host[,host…]``. ``valkeys`` uses TLS. ``redis`` works too."""

    def __init__(self, url: str) -> None:
        driver()
        self._target = parsed(url)
        self._client: Any = None
        self._turns = asyncio.Semaphore(MOST_CONNECTIONS)

    async def open(self) -> None:
        """Raises ConfigurationError if the login is refused or keys may be evicted: a replay cache must not forget."""
        client = self._target.client()
        try:
            policies = await _eviction_policies(client)
        except _failures() as error:
            await close(client)
            if _is_refused_login(error):
                raise ConfigurationError(f"Valkey at {self._target} refuses the user or password") from None
            raise _unavailable(error) from None
        if policies != {"noeviction"}:
            await close(client)
            raise ConfigurationError(f"Valkey at {self._target} needs maxmemory-policy noeviction")
        self._client, self._turns = client, asyncio.Semaphore(MOST_CONNECTIONS)  # each belongs to one event loop

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await close(client)

    async def take(self, key: str, rate: Rate, *, now: int) -> int:
        latest = now + rate.tolerance
        return await self._run(_TAKE, [_rate_key(key)], now, rate.interval, latest, EXPIRY_SLACK, rate.latest(now))

    async def give_back(self, key: str, rate: Rate, *, now: int) -> None:
        await self._run(_GIVE_BACK, [_rate_key(key)], now, rate.interval)

    async def reserve(self, key: str, *, until: int, now: int) -> bool:
        """Raises ValueError if ``until`` is further away than `LONGEST_RESERVATION`."""
        quarantine = LONGEST_RESERVATION * MICROSECONDS
        if until - now > quarantine:
            raise ValueError(f"a reservation lasts {LONGEST_RESERVATION} seconds at most")
        keys = [_reservation_key(key), _BORN, _HISTORY]
        reserved = await self._run(_RESERVE, keys, now, until, quarantine, EXPIRY_SLACK)
        if reserved < 0:
            raise StoreUnavailable("Valkey has lost its state: reservations are refused until old ones have expired")
        return reserved == 1

    async def sweep(self, now: int) -> None:
        """Does nothing: keys expire automatically."""

    async def _run(self, script: _Script, keys: list[str], *args: int) -> int:
        """Runs a script on ``keys``, with ``now`` as the first of its arguments."""
        async with self._turn():
            if self._client is None:
                raise StoreUnavailable("Valkey is not open")
            try:
                try:
                    return int(await self._client.evalsha(script.sha, len(keys), *keys, *args))
                except errors().NoScriptError:
                    await self._start_over(script, keys[0], now=args[0])
                    return int(await self._client.evalsha(script.sha, len(keys), *keys, *args))
            except _failures() as error:
                raise _unavailable(error) from None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Waits while `MOST_CONNECTIONS` callers use the client, but not longer than for an answer."""
        turns = self._turns
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await turns.acquire()
        except TimeoutError:
            raise StoreUnavailable("Valkey: all connections are in use") from None
        try:
            yield
        finally:
            turns.release()

    async def _start_over(self, script: _Script, key: str, *, now: int) -> None:
        """The server of ``key`` does not know the script. It was restarted, or is a different server.

        The time is set before the script is loaded, so that no caller can reserve in between.
        """
        if script is _RESERVE:
            await self._client.set(_BORN, now)
        if _is_cluster(self._client):  # the other nodes may be unreachable
            node = self._client.get_node_from_key(key)
            await self._client.execute_command("SCRIPT LOAD", script.text, target_nodes=node)
        else:
            await self._client.script_load(script.text)


async def _eviction_policies(client: Any) -> set[str]:
    """Of every primary. Raises if one cannot be asked: an unknown policy may be any."""
    every = {"target_nodes": client.PRIMARIES} if _is_cluster(client) else {}
    memory = await client.info("memory", **every)
    each = [memory] if "maxmemory_policy" in memory else memory.values()
    return {str(one["maxmemory_policy"]) for one in each}


def _is_cluster(client: Any) -> bool:
    return hasattr(client, "get_node_from_key")


def _failures() -> tuple[type[Exception], ...]:
    """What redis-py raises. Exceptions about a whole cluster have a base class of their own."""
    return (errors().RedisError, errors().RedisClusterException)


def _is_refused_login(error: BaseException | None) -> bool:
    """Whether this error, or one that caused it, is a wrong user or password."""
    while error is not None:
        if isinstance(error, errors().AuthenticationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _unavailable(error: Exception) -> StoreUnavailable:
    """Leaves out the error's text, which may quote what was sent."""
    return StoreUnavailable(f"Valkey: {type(error).__name__}")


def _rate_key(key: str) -> str:
    return f"ostiary:rate:{hashed(key).hex()}"


def _reservation_key(key: str) -> str:
    return f"{{ostiary:reservations}}:{hashed(key).hex()}"
