"""What a PostgreSQL URL says. Every parameter is used, is known to need nothing, or is refused by name.

The parameters are those of libpq (PostgreSQL 18, §32.1.2) and those that hosted databases and other clients add to the
URLs that they print. No message quotes a value, because a URL whose characters are not encoded may have a part of the
password anywhere.
"""

import os
import re
import socket
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from ostiary.errors import ConfigurationError
from ostiary.store.encoding import UNENCODED

DEFAULT_PORT: Final = 5432
_DEFAULT_PORTS: Final = "PGPORT"  # libpq's environment variable

MOST_CONNECTIONS: Final = 10
CONNECT_SECONDS: Final = 5.0
CONNECT_SECONDS_OF_SEVERAL: Final = 2.0
"""For each of several hosts: one that does not answer must leave time for the next."""

LEND_SECONDS: Final = 5.0
"""How long to wait while all connections are in use."""

STATEMENT_SECONDS: Final = 10.0
"""How long one statement may take, including waiting for locks."""

_SYSTEM: Final = "system"  # sslrootcert: the certificates that the operating system trusts
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_DEMANDING: Final = ("require", "verify-ca", "verify-full")
_YES_OR_NO: Final = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}
_DRIVERS_OWN: Final = ("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation")
_DRIVERS_OWN_TOO: Final = ("ssl_min_protocol_version", "ssl_max_protocol_version", "passfile", "krbsrvname", "gsslib")
_TLS_VERSIONS: Final = {
    name.replace("_", "."): ssl.TLSVersion[name] for name in ("TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3")
}
_FILES: Final = ("sslcert", "sslkey", "sslrootcert", "sslcrl", "passfile")
_NAME: Final = re.compile(r"[A-Za-z_]{1,40}")

_ACCEPTED: Final[Mapping[str, tuple[str, ...]]] = {
    "target_session_attrs": ("any", "read-write", "primary"),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer"),
    "load_balance_hosts": ("disable",),
    "client_encoding": ("utf8", "UTF8", "utf-8", "UTF-8", "auto"),
    "sslmode": _SSL_MODES,
    "sslcompression": ("0",),
    "sslsni": ("1",),
    "sslnegotiation": ("postgres", "direct"),
    "uselibpqcompat": ("true",),  # node-postgres: sslmode means what it means here
}
"""The values that are accepted. A parameter that is used nowhere else is accepted only with the value that matches the
fixed behaviour."""

_SOCKET_OPTIONS: Final = {
    "keepalives_idle": ("TCP_KEEPIDLE", 32_767),
    "keepalives_interval": ("TCP_KEEPINTVL", 32_767),
    "keepalives_count": ("TCP_KEEPCNT", 127),
    "tcp_user_timeout": ("TCP_USER_TIMEOUT", 600_000),
}
"""The names of their constants, and the largest values (of the first three: Linux's MAX_TCP_KEEPIDLE, …KEEPINTVL and
…KEEPCNT). Not every operating system has all of them."""

_IGNORED: Final = {"supa", "workaround"}
"""Marks that Supabase puts into its URLs for statistics."""

_HINTS: Final = {
    "ssl": "use sslmode",
    "sslaccept": "use sslmode=verify-full or sslmode=require",
    "sslidentity": "use sslcert and sslkey",
    "hostaddr": "use the address as host",
    "search_path": "use schema",
    "currentSchema": "use schema",
    "pool_size": "use connection_limit",
    "statement_timeout": "use socket_timeout",
    "prepareThreshold": "use pooler=true behind a pooling proxy",
    "prepared_statements": "use pooler=true behind a pooling proxy",
    "prepared_statement_cache_size": "use pooler=true behind a pooling proxy",
    "requirepeer": "remove it",
    "service": "write what it contains into the URL",
}

_SECRET: Final = {"password", "sslpassword"}
_KNOWN: Final = {*_SECRET, *_DRIVERS_OWN, *_DRIVERS_OWN_TOO, *_ACCEPTED, *_SOCKET_OPTIONS, *_HINTS}

T = TypeVar("T")


class Host(NamedTuple):
    """A name, an address, or the folder of a Unix socket. Without a name, it is where libpq looks: ``PGHOST``, the
    usual sockets, localhost."""

    name: str
    port: int

    def __str__(self) -> str:
        is_ipv6 = ":" in self.name and not self.name.startswith("/")
        return f"[{self.name}]:{self.port}" if is_ipv6 else f"{self.name or 'localhost'}:{self.port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A parsed URL. Times are in seconds."""

    hosts: tuple[Host, ...]
    database: str | None
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)
    driver: Mapping[str, str] = field(repr=False)
    """What asyncpg reads from a URL."""
    session: Mapping[str, str] = field(repr=False)
    """The settings of each session."""
    pooler: bool
    most_connections: int
    connect_seconds: float
    lend_seconds: float
    statement_seconds: float
    cached_statements: int | None
    keepalive: tuple[tuple[int, int, int], ...]
    """Arguments of ``setsockopt``."""
    trusts_system: bool
    tls_versions: tuple[ssl.TLSVersion, ssl.TLSVersion]
    """The oldest and the newest."""

    def __str__(self) -> str:
        """Hosts, ports and database, without user and password, so that it can be printed."""
        return f"{','.join(map(str, self.hosts))}/{self.database or ''}"

    @property
    def url(self) -> str:
        """For asyncpg, without hosts."""
        return f"postgresql:///?{urllib.parse.urlencode(self.driver)}" if self.driver else "postgresql:///"


def parse(url: str) -> Target:
    """Parses a PostgreSQL URL.

    Raises:
        ConfigurationError: names the part of the URL that is wrong, and never quotes it.
    """
    authority, path, query = _split(url)
    parameters = _Parameters(_fields(query))
    credentials, _, netloc = authority.rpartition("@")
    user, _, password = credentials.partition(":")
    hosts = _hosts(parameters.text("host") or netloc, parameters.text("port"))
    several = len(hosts) > 1
    cached = parameters.number("statement_cache_size", 0, 10_000, None)
    pooler = parameters.yes("pooler", otherwise=False) | parameters.yes("pgbouncer", otherwise=False)
    target = Target(
        hosts=hosts,
        database=parameters.first("dbname", "database") or _text(path),
        user=parameters.text("user") or _text(user),
        password=parameters.text("password") or _text(password),
        driver=parameters.of_driver(),
        session=parameters.session(pooler=pooler),
        pooler=pooler,
        most_connections=parameters.number("connection_limit", 1, 1000, MOST_CONNECTIONS),
        connect_seconds=parameters.number(
            "connect_timeout", 1, 60, CONNECT_SECONDS_OF_SEVERAL if several else CONNECT_SECONDS
        ),
        lend_seconds=parameters.number("pool_timeout", 1, 60, LEND_SECONDS),
        statement_seconds=parameters.number("socket_timeout", 1, 600, STATEMENT_SECONDS),
        cached_statements=0 if pooler else cached,
        keepalive=parameters.keepalive(),
        trusts_system=parameters.trusts_system(),
        tls_versions=parameters.tls_versions(),
    )
    parameters.refuse_the_rest()
    return target


class _Parameters:
    """The part after the question mark. What was not asked for in the end is refused."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self._used = set(_IGNORED)

    def text(self, name: str) -> str | None:
        self._used.add(name)
        return self._given.get(name) or None

    def first(self, *names: str) -> str | None:
        """The value of the first of them that is given."""
        values = [self.text(name) for name in names]
        return next(filter(None, values), None)

    def number(self, name: str, least: int, most: int, otherwise: T) -> int | T:
        value = self.text(name)
        if value is None:
            return otherwise
        if not re.fullmatch("[0-9]{1,6}", value, re.ASCII) or not least <= int(value) <= most:
            raise ConfigurationError(f"{name} in the database URL must be a number from {least} to {most}")
        return int(value)

    def yes(self, name: str, *, otherwise: bool) -> bool:
        value = self.text(name)
        if value is not None and value not in _YES_OR_NO:
            raise ConfigurationError(f"{name} in the database URL must be true or false")
        return otherwise if value is None else _YES_OR_NO[value]

    def of_driver(self) -> dict[str, str]:
        found = {name: self.text(name) for name in (*_DRIVERS_OWN, *_DRIVERS_OWN_TOO)}
        given = {name: value for name, value in found.items() if value is not None}
        for name in _FILES:
            if (file := given.get(name)) and not (name == "sslrootcert" and file == _SYSTEM) and not _readable(file):
                raise ConfigurationError(f"the file that {name} in the database URL names cannot be read")
        if given.get("sslrootcert") == _SYSTEM:
            del given["sslrootcert"]
        return given

    def session(self, *, pooler: bool) -> dict[str, str]:
        """A pooling proxy keeps no settings of a session."""
        name = self.first("application_name", "fallback_application_name") or "ostiary"
        settings = {"application_name": name}
        if not pooler:
            settings["default_transaction_read_only"] = "on"
        if (options := self.text("options")) is not None:
            settings["options"] = options
        schema = self.text("schema")
        if schema is not None and not (pooler and schema == "public"):
            if pooler:
                raise ConfigurationError(
                    "schema in the database URL does not work with pooler=true: set the role's search_path"
                )
            settings["search_path"] = '"' + schema.replace('"', '""') + '"'
        return settings

    def keepalive(self) -> tuple[tuple[int, int, int], ...]:
        """As libpq does: on, unless the URL says otherwise. A lost connection would otherwise look like an idle one."""
        is_on = self.yes("keepalives", otherwise=True)
        found = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] if is_on else []
        for name, (constant, most) in _SOCKET_OPTIONS.items():
            if (value := self.number(name, 0, most, 0)) == 0:
                continue  # 0: what the system does
            if (option := getattr(socket, constant, None)) is None:
                raise ConfigurationError(f"{name} in the database URL is not supported on this operating system")
            found.append((socket.IPPROTO_TCP, option, value))
        return tuple(found)

    def trusts_system(self) -> bool:
        if self._given.get("sslrootcert") != _SYSTEM:
            return False
        if self._given.get("sslmode", "verify-full") != "verify-full":
            raise ConfigurationError("sslrootcert=system in the database URL needs sslmode=verify-full")
        if {"sslcert", "sslkey", "sslpassword", "sslcrl"} & self._given.keys():
            raise ConfigurationError(
                "sslrootcert=system in the database URL excludes sslcert, sslkey, sslpassword and sslcrl"
            )
        return True

    def tls_versions(self) -> tuple[ssl.TLSVersion, ssl.TLSVersion]:
        least, most = (self.text(f"ssl_{end}_protocol_version") for end in ("min", "max"))
        least = least or os.environ.get("PGSSLMINPROTOCOLVERSION") or "TLSv1.2"
        most = most or os.environ.get("PGSSLMAXPROTOCOLVERSION") or "TLSv1.3"
        if not {least, most} <= _TLS_VERSIONS.keys():
            raise ConfigurationError(
                "the TLS versions in the database URL, or in PGSSLMINPROTOCOLVERSION and PGSSLMAXPROTOCOLVERSION,"
                f" must be {', '.join(_TLS_VERSIONS)}"
            )
        return _TLS_VERSIONS[least], _TLS_VERSIONS[most]

    def refuse_the_rest(self) -> None:
        mode = self.text("sslmode") or os.environ.get("PGSSLMODE") or "prefer"
        if self.text("sslnegotiation") == "direct" and not (mode in _DEMANDING or self._verifies_server()):
            raise ConfigurationError(
                f"sslnegotiation=direct in the database URL needs sslmode={' or '.join(_DEMANDING)}"
            )
        for name, values in _ACCEPTED.items():
            if (value := self.text(name)) is not None and value not in values:
                raise ConfigurationError(f"{name} in the database URL must be {' or '.join(values)}")
        # asyncpg has no channel binding. A verified certificate keeps out the same attacker.
        if self.text("channel_binding") == "require" and not self._verifies_server():
            raise ConfigurationError(
                "channel_binding=require in the database URL is not supported: use sslmode=verify-full instead, with"
                " sslrootcert=system if the server's certificate is from a public authority"
            )
        for name in self._given.keys() - self._used:
            hint = f": {_HINTS[name]}" if name in _HINTS else ""
            raise ConfigurationError(f"{_shown(name, self._given)} in the database URL is not supported{hint}")

    def _verifies_server(self) -> bool:
        return self._given.get("sslmode") == "verify-full" or self._given.get("sslrootcert") == _SYSTEM


def _split(url: str) -> tuple[str, str, str]:
    """What is before the first slash, between it and the question mark, and after that."""
    rest = url.partition("://")[2]
    before, _, query = rest.partition("?")
    authority, _, path = before.partition("/")
    is_encoded = rest.isprintable() and not UNENCODED.search(rest)
    if not is_encoded or "@" in path + query or authority.count("@") > 1:
        raise ConfigurationError(
            "the database URL contains a character that must be percent-encoded: write # as %23, @ as %40, / as %2F,"
            " ? as %3F, % as %25 and a space as %20 in user, password and parameters"
        )
    return authority, path, query


def _fields(query: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for each in filter(None, query.split("&")):
        name, equals, value = each.partition("=")
        if name in fields:
            raise ConfigurationError(f"{_shown(name, fields)} is in the database URL more than once")
        if not equals or not value:
            raise ConfigurationError(
                f"{_shown(name, fields) if equals else 'a parameter'} in the database URL has no value"
            )
        fields[name] = _text(value) or ""
    return fields


def _hosts(names: str, ports: str | None) -> tuple[Host, ...]:
    found = [_host(each) for each in names.split(",")]
    given = ports or ("" if all(port for _, port in found) else os.environ.get(_DEFAULT_PORTS, ""))
    try:
        defaults = [_port(port) if port else DEFAULT_PORT for port in given.split(",")]
        if len(defaults) not in {1, len(found)}:
            raise _bad_host()
    except ConfigurationError:
        raise (
            _bad_host() if ports else ConfigurationError(f"{_DEFAULT_PORTS} is not a port, or one for each host")
        ) from None
    return tuple(Host(name, port or defaults[index % len(defaults)]) for index, (name, port) in enumerate(found))


def _host(text: str) -> tuple[str, int | None]:
    if text.startswith("/"):
        return text, None
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\[\]:/]*))(?::([0-9]*))?", text, re.ASCII)
    if match is None:
        raise _bad_host()
    return match[1] or _text(match[2] or "") or "", _port(match[3]) if match[3] else None


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text, re.ASCII) or not 0 < int(text) < 65_536:
        raise _bad_host()
    return int(text)


def _text(encoded: str) -> str | None:
    try:
        return urllib.parse.unquote(encoded, errors="strict") or None
    except UnicodeDecodeError:
        raise ConfigurationError("the database URL contains percent-encoded bytes that are not UTF-8") from None


def _readable(file: str) -> bool:
    try:
        Path(file).open("rb").close()
    except OSError:
        return False
    return True


def _shown(name: str, fields: Mapping[str, str]) -> str:
    """A name that can be printed. After ``password=abc``, an unknown one may belong to the password ``abc&def=1``."""
    may_be_secret = name not in _KNOWN and not fields.keys().isdisjoint(_SECRET)
    return name if _NAME.fullmatch(name) and not may_be_secret else "a parameter"


def _bad_host() -> ConfigurationError:
    return ConfigurationError("the host or port in the database URL is not valid")
