"""The connection pool. A connection is dropped as soon as its state is in doubt."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from ostiary.errors import ConfigurationError, StoreUnavailable
from ostiary.store.postgres.driver import asyncpg
from ostiary.store.postgres.failures import driver_errors, explained, sqlstate

MOST_CONNECTIONS: Final = 10
CONNECT_SECONDS: Final = 5.0
LEND_SECONDS: Final = 5.0
"""How long to wait while all connections are in use."""

STATEMENT_SECONDS: Final = 10.0
"""How long one statement may take, including waiting for locks."""

CLOSE_SECONDS: Final = 5.0

# SQLSTATEs of a server that will never accept this URL: wrong password or user, no such database
_WRONG_URL: Final = {"28000", "28P01", "3D000"}


class Connections:
    """Connections that may only read, unless a transaction says otherwise. Behind a pooling proxy the server's
    connection changes with each transaction, so it cannot keep anything: no statement, no setting."""

    def __init__(self, dsn: str, *, place: str, pooler: bool) -> None:
        self._dsn = dsn
        self._place = place
        self._pooler = pooler
        self._pool: Any = None

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
            self._dsn, min_size=0, max_size=MOST_CONNECTIONS, reset=_leave_as_it_is, **self._settings()
        )
        await self._pool

    async def connect(self) -> Any:
        """A separate connection, outside the pool."""
        return await asyncpg().connect(self._dsn, **self._settings())

    async def close(self) -> None:
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await pool.close()
        except driver_errors():
            pool.terminate()

    @contextlib.asynccontextmanager
    async def lend(self) -> AsyncIterator[Any]:
        """A connection for the duration of the block. A terminated connection is replaced."""
        pool = self._pool
        if pool is None:
            raise StoreUnavailable("the database is not open")
        try:
            connection = await pool.acquire(timeout=LEND_SECONDS)
        except driver_errors() as error:
            raise StoreUnavailable(explained(error).detail) from None
        try:
            yield connection
        finally:
            with contextlib.suppress(*driver_errors()):
                await pool.release(connection, timeout=CLOSE_SECONDS)

    def _settings(self) -> dict[str, Any]:
        settings = {"application_name": "ostiary"}
        limits = {"timeout": CONNECT_SECONDS, "command_timeout": STATEMENT_SECONDS}
        if self._pooler:
            return {**limits, "server_settings": settings, "statement_cache_size": 0}
        return {**limits, "server_settings": {**settings, "default_transaction_read_only": "on"}}

    def _unusable(self, error: BaseException) -> ConfigurationError | StoreUnavailable:
        """Why there is no connection. Never quotes the URL, because it contains the password."""
        detail = explained(error).detail
        if sqlstate(error) in _WRONG_URL:
            return ConfigurationError(f"the database at {self._place} refuses the connection: {detail}")
        if isinstance(error, asyncpg().ClientConfigurationError):
            return ConfigurationError(f"the database URL for {self._place} has a part that asyncpg does not accept")
        return StoreUnavailable(f"no answer from {self._place}: {detail}")


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
