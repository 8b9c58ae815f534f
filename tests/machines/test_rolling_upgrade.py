"""Two versions side by side, while servers are replaced one after the other.

Every run of the tests includes this, because any change can break what an older server reads."""

import contextlib

import pytest

from tests.cli.program import Served, run
from tests.machines.load import Fleet, Load
from tests.machines.releases import ServedFromSource, migrate_from_source, previous_source

pytestmark = pytest.mark.timeout(240)

SERVERS = 3
STEP = 40
"""Refreshes that are acknowledged between two steps."""


def test_servers_are_replaced_under_load_and_no_request_fails(environ, folder, tmp_path_factory, record_property):
    """The order of docs/operations.md: migrate, then replace the servers one by one. In between, tokens of either
    version are refreshed, used and revoked at either version. One server goes back to the version before."""
    source = previous_source(tmp_path_factory.mktemp("previous"))
    migrate_from_source(folder, source, environ=environ)
    with contextlib.ExitStack() as stack:
        fleet = stack.enter_context(contextlib.closing(Fleet()))

        def start_previous():
            server = stack.enter_context(ServedFromSource(folder, source, environ=environ)).ready()
            fleet.add(server.url)
            return server

        def start_next():
            server = stack.enter_context(Served(folder, environ=environ)).ready()
            fleet.add(server.url)
            return server

        def retire(server):
            fleet.retire(server.url)
            assert server.end() == 0

        previous = [start_previous() for _ in range(SERVERS)]
        load = stack.enter_context(Load(fleet).running())
        load.wait("refresh", STEP)
        migrated = run("migrate", folder=folder, environ=environ)
        assert migrated.returncode == 0, migrated.stderr
        load.wait("refresh", STEP)
        for old in previous[:-1]:
            start_next()
            load.wait("refresh", STEP)
            retire(old)
            load.wait("refresh", STEP)
        returned = start_previous()
        load.wait("refresh", STEP)
        retire(returned)
        start_next()
        retire(previous[-1])
        load.wait("refresh", STEP)
        load.wait("logout", 5)
        load.check()
    record_property("acknowledged", dict(load.counts))
    record_property("slowest_revocation", load.slowest_revocation)
