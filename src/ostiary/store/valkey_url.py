"""What a URL for counters says, and redis-py's client for it: one server, a primary that Sentinels know, or a cluster.

The forms with Sentinels and a cluster are the ones that other clients use. redis-py has no URLs for them.
"""

import functools
import importlib
import re
import urllib.parse
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary.errors import ConfigurationError
from ostiary.store.encoding import UNENCODED

ANSWER_SECONDS: Final = 2.0

EXPECTED: Final = (
    "the URL for counters must be like valkey://host:6379/0, valkey+sentinel://host1,host2:26379/service/0 or "
    "valkey+cluster://host1,host2:6379, or valkeys… with TLS, with percent-encoded user and password"
)

_SCHEME: Final = re.compile(r"(?:valkey|redis|(?P<tls>valkeys|rediss))(?:\+(?P<kind>sentinel|cluster))?")
_PORTS: Final = {None: 6379, "cluster": 6379, "sentinel": 26379}
_PATHS: Final = {
    None: re.compile(r"/?(?P<number>[0-9]{0,4})"),
    "cluster": re.compile(r"/?(?P<number>0?)"),  # a cluster has no other database
    "sentinel": re.compile(r"/(?P<service>[A-Za-z0-9._-]+)(?:/(?P<number>[0-9]{0,4}))?"),
}
_HOST: Final = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?")

_FILES: Final = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
"""The allowed options after the question mark. They are paths of files."""

_SENTINEL: Final = {"sentinel_username", "sentinel_password"}
"""Further options with Sentinels, which have a login of their own."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL."""

    kind: str | None
    """``sentinel``, ``cluster``, or None for one server."""
    hosts: tuple[tuple[str, int], ...]
    service: str | None
    number: int
    login: dict[str, str] = field(repr=False)
    sentinel_login: dict[str, str] = field(repr=False)
    tls: dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        """Hosts and what is used there, without user and password, so that it can be printed."""
        path = f"/{self.service}" if self.service else ""
        hosts = (f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name, port in self.hosts)
        return ",".join(hosts) + (f"{path}/{self.number}" if path else "")

    def client(self) -> Any:
        """A client that is not connected yet. It never sends a command twice: the first one may have been run."""
        backoff = importlib.import_module("redis.backoff").NoBackoff()
        never = importlib.import_module("redis.asyncio.retry").Retry(backoff, 0)
        patience = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS, "retry": never}
        if self.kind == "cluster":
            nodes = [importlib.import_module("redis.asyncio.cluster").ClusterNode(*host) for host in self.hosts]
            # a cluster that has lost a part answers for the rest, if its own configuration allows that
            return driver().RedisCluster(
                startup_nodes=nodes, require_full_coverage=False, **self.login, **self.tls, **patience
            )
        if self.kind == "sentinel":
            sentinels = importlib.import_module("redis.asyncio.sentinel").Sentinel(
                self.hosts,
                sentinel_kwargs={**self.sentinel_login, **self.tls, **patience},
                **{**self.login, **self.tls, **patience, "db": self.number},
            )
            return sentinels.master_for(self.service)
        ((host, port),) = self.hosts
        return driver().Redis(host=host, port=port, db=self.number, **self.login, **self.tls, **patience)


def parsed(url: str) -> Target:
    """Raises ConfigurationError, which never quotes the URL, because it may contain a password."""
    scheme, _, rest = url.partition("://")
    form = _SCHEME.fullmatch(scheme)
    if form is None or UNENCODED.search(rest):
        raise ConfigurationError(EXPECTED)
    kind = form["kind"]
    place, _, query = rest.partition("?")
    login, _, place = place.rpartition("@")
    names, slash, path = place.partition("/")
    where = _PATHS[kind].fullmatch(slash + path)
    hosts = [_host(each, _PORTS[kind]) for each in names.split(",")]
    if where is None or "/" in login or (kind is None and len(hosts) > 1):
        raise ConfigurationError(EXPECTED)
    user, _, password = login.partition(":")
    options = _options(query, (_FILES if form["tls"] else set()) | (_SENTINEL if kind == "sentinel" else set()))
    files = {name: value for name, value in options.items() if name in _FILES}
    return Target(
        kind=kind,
        hosts=tuple(hosts),
        service=where.groupdict().get("service"),
        number=int(where["number"] or 0),
        login=_login(_text(user), _text(password)),
        sentinel_login=_login(options.get("sentinel_username", ""), options.get("sentinel_password", "")),
        tls={"ssl": True, **files} if form["tls"] else {},
    )


async def close(client: Any) -> None:
    """Closes the connections of a client, also those to Sentinels, which redis-py leaves open."""
    await client.aclose()
    sentinels = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    if sentinels is not None:
        await sentinels.aclose()


def _host(text: str, default_port: int) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    if match is None or not 0 < (port := int(match["port"] or default_port)) < 2**16:
        raise ConfigurationError(EXPECTED)
    return match["ipv6"] or match["name"], port


def _options(query: str, allowed: set[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for each in filter(None, query.split("&")):
        name, equals, value = each.partition("=")
        if name not in allowed or name in options or not equals:
            raise ConfigurationError(EXPECTED)
        options[name] = _text(value)
    return options


def _text(encoded: str) -> str:
    try:
        return urllib.parse.unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        raise ConfigurationError(EXPECTED) from None


def _login(user: str, password: str) -> dict[str, str]:
    given = {"username": user, "password": password}
    return {name: value for name, value in given.items() if value}


@functools.cache
def driver() -> Any:
    """Imports redis-py, which is needed only if it is used."""
    try:
        return importlib.import_module("redis.asyncio")
    except ImportError:
        raise ConfigurationError("Valkey and Redis need redis-py: pip install 'ostiary[valkey]'") from None


def errors() -> Any:
    """The module of redis-py's exceptions."""
    return importlib.import_module("redis.exceptions")
