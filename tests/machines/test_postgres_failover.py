"""The primary of PostgreSQL dies under load, its standby is promoted, and the old primary comes back."""

import asyncio
import contextlib
import urllib.parse

import asyncpg
import pytest

from tests.cli.program import Served, run
from tests.machines.conftest import settings
from tests.machines.load import NO_ANSWER, Fleet, Load, Session, registered, until
from tests.servers import PostgresServer, memory_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SERVERS = 2
GRACE = {"OSTIARY_TOKENS_REFRESH_GRACE": "60"}
"""Longer than the outage, so that a refresh that was committed but not answered can be repeated after it."""


class Pair:
    """A primary with a standby, and servers that have both in their URL."""

    def __init__(self, folder, stack: contextlib.ExitStack) -> None:
        self.primary = stack.enter_context(contextlib.closing(PostgresServer(parent=memory_folder())))
        url = self.primary.create("auth")
        parts = urllib.parse.urlsplit(url)
        self.standby = stack.enter_context(
            contextlib.closing(PostgresServer(parent=memory_folder(), primary=self.primary))
        )
        hosts = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        both = parts._replace(netloc=f"{parts.username}:{parts.password}@{hosts}").geturl()
        self.environ = environ = {**settings(both), **GRACE}
        migrated = run("migrate", folder=folder, environ=environ)
        assert migrated.returncode == 0, migrated.stderr
        self.servers = [stack.enter_context(Served(folder, environ=environ)).ready() for _ in range(SERVERS)]
        self.fleet = stack.enter_context(contextlib.closing(Fleet()))
        for server in self.servers:
            self.fleet.add(server.url)

    def fail_over(self) -> None:
        self.primary.stop("immediate")
        self.standby.promote()

    def errors(self) -> list[str]:
        return [line for server in self.servers for line in server.err.splitlines() if "request.failed" in line]


def on(server: PostgresServer, *statements: str, database: str = "postgres") -> object:
    async def ask():
        connection = await asyncpg.connect(server.url(database))
        try:
            for statement in statements:
                answer = await connection.fetchval(statement)
            return answer
        finally:
            await connection.close()

    return asyncio.run(ask())


@pytest.fixture
def pair(folder):
    with contextlib.ExitStack() as stack:
        yield Pair(folder, stack)


def test_with_synchronous_replication_nothing_acknowledged_is_lost(pair, record_property):
    """Callers get 503 or no answer during the failover, and repeat. Afterwards every session continues, and every
    session that was signed out stays so. The old primary, back as a standby, is not used."""
    on(pair.primary, "alter system set synchronous_standby_names = '*'", "select pg_reload_conf()")
    load = Load(pair.fleet, repeat_after={NO_ANSWER, 503})
    with load.running():
        load.wait("refresh", 60)
        load.wait("logout", 5)
        pair.fail_over()
        load.wait("refresh", 60)
        pair.primary.follow(pair.standby)
        pair.primary.start()
        assert on(pair.primary, "select pg_is_in_recovery()") is True
        load.wait("refresh", 60)
        load.wait("logout", 5)
        load.check()
    assert load.counts["unavailable"] > 0
    assert pair.errors() == []
    record_property("longest_outage", load.longest_outage)
    record_property("acknowledged", dict(load.counts))


def test_without_synchronous_replication_the_newest_operations_are_lost_and_no_session_ends(pair, folder):
    """docs/machines.md lists what is lost, and what to do. The standby receives nothing more, then the primary
    dies."""
    email = registered(pair.fleet)
    refreshed, ended, untouched = (Session(pair.fleet, email) for _ in range(3))
    for session in (refreshed, ended, untouched):
        assert session.sign_in().status_code == 200
    position = on(pair.primary, "select cast(pg_current_wal_lsn() as text)")
    until(lambda: on(pair.standby, f"select pg_last_wal_replay_lsn() >= '{position}'"))
    on(pair.standby, "alter system set primary_conninfo = ''", "select pg_reload_conf()")
    until(lambda: on(pair.standby, "select count(*) from pg_stat_wal_receiver") == 0)
    assert refreshed.refresh().status_code == 200
    assert ended.log_out().status_code == 204
    late = Session(pair.fleet, email)
    assert late.sign_in().status_code == 200
    pair.fail_over()
    until(lambda: untouched.me().status_code != 503)
    assert untouched.refresh().status_code == 200
    for lost in (refreshed, late):
        answer = lost.refresh()
        assert answer.status_code == 401, answer.text
    events = on(pair.standby, "select string_agg(type, ' ') from audit_events", database="auth")
    assert "tokens.store_behind" in events
    assert "tokens.refresh_token_reused" not in events
    assert ended.me().status_code == 401, "servers that kept running remember the revocation"
    assert ended.refresh().status_code == 200, "but the sign-out is lost, so `ostiary restored` is needed"
    restored = run("restored", folder=folder, environ=pair.environ)
    assert restored.returncode == 0, restored.stderr
    assert ended.refresh().status_code == 401
    assert pair.errors() == []
