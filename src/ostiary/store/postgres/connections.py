"""The connection pool. A connection is dropped as soon as its state is in doubt."""

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any, Final

from ostiary.errors import ConfigurationError, StoreUnavailable
from ostiary.store.postgres.driver import asyncpg
from ostiary.store.postgres.failures import driver_errors, explained, sqlstate
from ostiary.store.postgres.url import Host, Target

CLOSE_SECONDS: Final = 5.0

# SQLSTATEs of a server that will never accept this URL: wrong password or user, no such database, an unknown or invalid
# session setting
_WRONG_URL: Final = {"28000", "28P01", "3D000", "42704", "22023", "42601"}

_ALPN: Final = "postgresql"  # PostgreSQL 17 requires it for sslnegotiation=direct

_PROTOCOL_VIOLATION: Final = "08P01"  # also of a pooling proxy that does not pass a session setting on


class Connections:
    """Connections that may only read, unless a transaction says otherwise. Behind a pooling proxy the server's
    connection changes with each transaction, so it cannot keep anything: no statement, no setting."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._pool: Any = None
        self._first = 0  # the index of the host to ask first: the last one that was writable, or the one after it

    async def open(self) -> None:
        """Makes one connection to check the server. The pool makes its connections when they are needed."""
        if self._pool is not None:
            raise RuntimeError("the database was already opened")
        try:
            probe = await self.connect()
            try:
                await _refuse_unsafe_server(probe)
            finally:
                probe.terminate()
        except driver_errors() as error:
            raise self._unusable(error) from None
        self._pool = asyncpg().create_pool(
            min_size=0,
            max_size=self._target.most_connections,
            connect=self.connect,
            reset=_leave_as_it_is,
        )
        await self._pool

    async def connect(self, *_: None, **given: Any) -> Any:
        """A connection to the host that accepts writes. The arguments come from the pool."""
        hosts, first = self._target.hosts, self._first
        failures: list[BaseException] = []
        for index in (*range(first, len(hosts)), *range(first)):
            try:
                connection = await self._connect_to(hosts[index], **given)
            except BaseException as error:
                if self._first == index:
                    self._first = (index + 1) % len(hosts)  # also if the pool has cancelled this attempt
                if not isinstance(error, driver_errors()):
                    raise
                failures.append(error)
            else:
                self._first = index
                return connection
        raise min(failures, key=self._vagueness)

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext | None:
        """Where asyncpg cannot make it from the URL. It then ignores the TLS parameters there. Reading all certificates
        takes a while, so it happens once."""
        if not self._target.trusts_system:
            return None
        context = ssl.create_default_context()
        context.minimum_version, context.maximum_version = self._target.tls_versions
        context.set_alpn_protocols([_ALPN])
        return context

    async def _connect_to(self, host: Host, **given: Any) -> Any:
        target = self._target
        connection = await asyncpg().connect(
            target.url,
            host=host.name or None,
            port=host.port,
            user=target.user,
            password=target.password,
            database=target.database,
            ssl=self._tls,
            server_settings=dict(target.session),
            target_session_attrs="primary",  # a standby refuses writes
            timeout=target.connect_seconds,
            command_timeout=target.statement_seconds,
            **({} if target.cached_statements is None else {"statement_cache_size": target.cached_statements}),
            **given,
        )
        try:
            _set_options(connection, target.keepalive)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def close(self) -> None:
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await pool.close()
        except driver_errors():
            pool.terminate()

    def refuse_when_closed(self) -> None:
        if self._pool is None:
            raise StoreUnavailable("the database is not open")

    @contextlib.asynccontextmanager
    async def lend(self) -> AsyncIterator[Any]:
        """A connection for the duration of the block. A terminated connection is replaced."""
        self.refuse_when_closed()
        pool = self._pool
        try:
            connection = await pool.acquire(timeout=self._target.lend_seconds)
        except driver_errors() as error:
            raise StoreUnavailable(explained(error).detail) from None
        try:
            yield connection
        finally:
            with contextlib.suppress(*driver_errors()):
                await pool.release(connection, timeout=CLOSE_SECONDS)

    def _vagueness(self, error: BaseException) -> int:
        """Of several hosts' errors, the least vague is reported: first what is wrong with the URL, which no retry
        mends, then that a host is down, and last that one is a standby."""
        if isinstance(self._unusable(error), ConfigurationError):
            return 0
        return 2 if isinstance(error, asyncpg().TargetServerAttributeNotMatched) else 1

    def _unusable(self, error: BaseException) -> ConfigurationError | StoreUnavailable:
        """Why there is no connection. Never quotes the URL, because it contains the password."""
        detail, place = explained(error).detail, self._target
        if sqlstate(error) in _WRONG_URL:
            return ConfigurationError(f"the database at {place} refuses the connection: {detail}")
        if sqlstate(error) == _PROTOCOL_VIOLATION:
            hint = "" if self._target.pooler else ". Behind a pooling proxy, add pooler=true"
            return ConfigurationError(f"the database at {place} refuses the connection: {detail}{hint}")
        if isinstance(error, ssl.SSLError):
            return ConfigurationError(f"no TLS connection to {place}: {error.reason or type(error).__name__}")
        if type(error) is ConnectionError:  # asyncpg's own, for a server that does not offer TLS
            return ConfigurationError(f"no TLS connection to {place}, as sslmode in the database URL requires")
        if isinstance(error, asyncpg().TargetServerAttributeNotMatched):
            return StoreUnavailable(f"no host of {place} accepts writes")
        if isinstance(error, asyncpg().ClientConfigurationError):
            return ConfigurationError(
                f"the TLS parameters in the database URL for {place} cannot be used: sslmode=verify-full needs"
                " sslrootcert=FILE, or sslrootcert=system"
            )
        return StoreUnavailable(f"no answer from {place}: {detail}")


def _set_options(connection: Any, options: tuple[tuple[int, int, int], ...]) -> None:
    """Sets the options of the socket, which asyncpg itself does not offer. A Unix socket has none of them."""
    sock = connection._transport.get_extra_info("socket")
    if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
        for option in options:
            sock.setsockopt(*option)


async def _refuse_unsafe_server(connection: Any) -> None:
    synchronous_commit, encoding = await connection.fetchrow(
        "select current_setting('synchronous_commit'), current_setting('server_encoding')"
    )
    if synchronous_commit == "off":
        raise ConfigurationError("synchronous_commit is off, so PostgreSQL may lose confirmed commits: turn it on")
    if encoding != "UTF8":
        raise ConfigurationError(f"the PostgreSQL database has the encoding {encoding}, but UTF8 is needed")


async def _leave_as_it_is(_connection: Any) -> None:
    """Replaces asyncpg's reset query, which would double the round trips of a small transaction. No reset is needed:
    every transaction ends, and lent connections do not use locks, settings or listeners of a session."""


def give_up(connection: Any) -> None:
    """Closes the connection without a message to the server. The pool makes a new one."""
    with contextlib.suppress(asyncpg().InterfaceError):
        connection.terminate()
