"""PgBouncer, which gives each transaction a different connection (pool_mode=transaction)."""

import contextlib

import asyncpg
import pytest

from tests.cli.program import Served, run
from tests.machines.daemons import PgBouncer
from tests.machines.load import Fleet, Load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SERVERS = 2


async def test_two_servers_share_few_connections_under_load(environ, folder, record_property):
    """Migration, registration, sign-in, refresh, logout and the change feed work on four connections."""
    with contextlib.ExitStack() as stack:
        bouncer = stack.enter_context(PgBouncer(environ["OSTIARY_DATABASE"]))
        pooled = {**environ, "OSTIARY_DATABASE": bouncer.url}
        migrated = run("migrate", folder=folder, environ=pooled)
        assert migrated.returncode == 0, migrated.stderr
        servers = [stack.enter_context(Served(folder, environ=pooled)).ready() for _ in range(SERVERS)]
        fleet = stack.enter_context(contextlib.closing(Fleet()))
        for server in servers:
            fleet.add(server.url)
        load = stack.enter_context(Load(fleet, refreshing=4).running())
        load.wait("refresh", 200)
        load.wait("logout", 20)
        load.check()
        failed = [line for server in servers for line in server.err.splitlines() if "failed" in line]
        assert failed == []
        assert 1 <= await connections_to(environ["OSTIARY_DATABASE"]) <= PgBouncer.CONNECTIONS
    record_property("acknowledged", dict(load.counts))
    record_property("slowest_revocation", load.slowest_revocation)


async def connections_to(database: str) -> int:
    """How many connections PostgreSQL has to this database, besides the one that asks."""
    connection = await asyncpg.connect(database)
    try:
        return await connection.fetchval(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()
