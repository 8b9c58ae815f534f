"""`ValkeyHot`: the `Hot` port on Valkey or Redis, which takes this load off the database.

Use one server, or a primary with replicas, but not a cluster. A loss of state is dangerous only for reservations: a
second use then looks like a first. A restart or failover is detected by an empty script cache, and a flush by a missing
key. Then nothing can be reserved until all reservations that may have existed before have expired.
"""

import functools
import hashlib
import importlib
import re
import urllib.parse
from dataclasses import dataclass
from typing import Any, Final

from ostiary.errors import ConfigurationError, StoreUnavailable
from ostiary.store.hot import MICROSECONDS, Rate, hashed

ANSWER_SECONDS: Final = 2.0

LONGEST_RESERVATION: Final = 300
"""Seconds. After a loss of state, nothing can be reserved for this long."""

EXPIRY_SLACK: Final = 1000
"""Milliseconds that keys outlive their use, because clocks of nodes may differ by a second (`ostiary doctor`)."""

_SCHEMES: Final = {"valkey": "redis", "valkeys": "rediss", "redis": "redis", "rediss": "rediss"}

_OPTIONS: Final = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
"""The allowed options after the question mark. They are paths of files."""

_NUMBER: Final = re.compile(r"(/[0-9]{0,4})?")

_BORN: Final = "ostiary:born"
"""The key for the time, in microseconds, since which this state has been complete."""


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

# KEYS: reservation, _BORN. ARGV: now, until, how long nothing can be reserved after a loss, slack.
_RESERVE: Final = _Script("""
local now, till = tonumber(ARGV[1]), tonumber(ARGV[2])
local born = redis.call('GET', KEYS[2])
if not born then
    born = ARGV[1]
    redis.call('SET', KEYS[2], born)
end
if now < tonumber(born) + tonumber(ARGV[3]) then return -1 end
local reserved = tonumber(redis.call('GET', KEYS[1]) or '0')
if reserved > now then return 0 end
local keep = math.max(math.ceil((till - now) / 1000), 0) + tonumber(ARGV[4])
redis.call('SET', KEYS[1], ARGV[2], 'PX', string.format('%.0f', keep))
return 1
""")


class ValkeyHot:
    """``url``: ``valkey://[user:password@]host[:port][/number]``. ``valkeys://`` uses TLS. ``redis://`` works too."""

    def __init__(self, url: str) -> None:
        _driver()
        self._url, self._place = _checked(url)
        self._client: Any = None

    async def open(self) -> None:
        """Raises ConfigurationError if the login is refused or keys may be evicted: a replay cache must not forget."""
        client = _driver().Redis.from_url(
            self._url,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=None,  # a command whose answer was lost must not be run twice
        )
        try:
            memory = await client.info("memory")
        except _errors().AuthenticationError:
            await client.aclose()
            raise ConfigurationError(f"Valkey at {self._place} refuses the user or password") from None
        except _errors().RedisError as error:
            await client.aclose()
            raise _unavailable(error) from None
        if memory.get("maxmemory_policy") != "noeviction":
            await client.aclose()
            raise ConfigurationError(f"Valkey at {self._place} needs maxmemory-policy noeviction")
        self._client = client

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

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
        reserved = await self._run(_RESERVE, [_reservation_key(key), _BORN], now, until, quarantine, EXPIRY_SLACK)
        if reserved < 0:
            raise StoreUnavailable("Valkey has lost its state: reservations are refused until old ones have expired")
        return reserved == 1

    async def sweep(self, now: int) -> None:
        """Does nothing: keys expire automatically."""

    async def _run(self, script: _Script, keys: list[str], *args: int) -> int:
        """Runs a script on ``keys``, with ``now`` as the first of its arguments."""
        if self._client is None:
            raise StoreUnavailable("Valkey is not open")
        try:
            try:
                return int(await self._client.evalsha(script.sha, len(keys), *keys, *args))
            except _errors().NoScriptError:
                await self._start_over(script, now=args[0])
                return int(await self._client.evalsha(script.sha, len(keys), *keys, *args))
        except _errors().RedisError as error:
            raise _unavailable(error) from None

    async def _start_over(self, script: _Script, *, now: int) -> None:
        """A server that does not know the script was restarted, or is a different server.

        The time is set before the script is loaded, so that no caller can reserve in between.
        """
        if script is _RESERVE:
            await self._client.set(_BORN, now)
        await self._client.script_load(script.text)


@functools.cache
def _driver() -> Any:
    """Imports redis-py, which is needed only if it is used."""
    try:
        return importlib.import_module("redis.asyncio")
    except ImportError:
        raise ConfigurationError("Valkey and Redis need redis-py: pip install 'ostiary[valkey]'") from None


def _errors() -> Any:
    return importlib.import_module("redis.exceptions")


def _checked(url: str) -> tuple[str, str]:
    """The URL in redis-py's form, and a printable part of it. redis-py itself silently skips what it cannot read."""
    scheme, _, rest = url.partition("://")
    try:
        parts = urllib.parse.urlsplit(url)
        place = f"{parts.hostname}:{parts.port or 6379}{parts.path}"
        unknown = urllib.parse.parse_qs(parts.query, keep_blank_values=True).keys() - _OPTIONS
        if scheme in _SCHEMES and parts.hostname and _NUMBER.fullmatch(parts.path) and not unknown:
            return f"{_SCHEMES[scheme]}://{rest}", place
    except ValueError:
        pass
    raise ConfigurationError("the URL for counters must be like valkey://host:6379/0, or valkeys:// with TLS")


def _unavailable(error: Exception) -> StoreUnavailable:
    """Leaves out the error's text, which may quote what was sent."""
    return StoreUnavailable(f"Valkey: {type(error).__name__}")


def _rate_key(key: str) -> str:
    return f"ostiary:rate:{hashed(key).hex()}"


def _reservation_key(key: str) -> str:
    return f"ostiary:reservation:{hashed(key).hex()}"
