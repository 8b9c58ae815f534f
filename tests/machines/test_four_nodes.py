"""Four nodes behind HAProxy, with the configuration in `examples/haproxy.cfg`."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import httpx
import pytest

from tests.cli.program import PATIENCE, Served, run, sockets
from tests.machines.conftest import settings
from tests.machines.daemons import HaProxy
from tests.machines.load import NO_ANSWER, Load, Session, Through, registered, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

NODES = 4
SOURCE_LIMIT = 100
"""Connections per source in `examples/haproxy.cfg`."""

FEW_FILES = 456
"""A node with this limit of open files accepts 200 connections."""


TCP_ESTABLISHED = 1

LONELY = 2
"""This node has a role of its own in the database, which a test can lock out."""


class LimitedNode(Served):
    """A node that accepts 200 connections, so that a test needs few to fill it."""

    command = ("prlimit", f"--nofile={FEW_FILES}:{FEW_FILES}", *Served.command)


class Nodes:
    def __init__(self, environ, folder, stack: contextlib.ExitStack) -> None:
        self.database = environ["OSTIARY_DATABASE"]
        self._environ = {**environ, "OSTIARY_WEB_TRUSTED_PROXIES": "127.0.0.1"}
        self._folder = folder
        self._stack = stack
        with ThreadPoolExecutor(NODES) as pool:
            self.servers = list(pool.map(self._started, range(NODES)))
        self.proxy = stack.enter_context(HaProxy([server.url for server in self.servers]))
        self.entrance = stack.enter_context(contextlib.closing(Through(self.proxy.url)))

    def up(self) -> list[bool]:
        return [self.proxy.is_up(number) for number in range(NODES)]

    def start_again(self) -> None:
        """Those that a test has ended."""
        for number, server in enumerate(self.servers):
            if server.process.poll() is not None:
                self.servers[number] = self._started(number, port=server.port)

    def workers(self) -> list[int]:
        return [worker for server in self.servers for worker in server.workers]

    def _started(self, number: int, port: int | None = None) -> LimitedNode:
        environ = self._environ
        if number == LONELY:
            environ = {**environ, "OSTIARY_DATABASE": self.database.replace("//postgres:", "//lonely:")}
        return self._stack.enter_context(LimitedNode(self._folder, environ=environ, port=port)).ready()


@pytest.fixture(scope="module")
def shared(postgres_server, tmp_path_factory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("nodes")
    postgres_server.start()
    environ = settings(postgres_server.create("four_nodes"))
    migrated = run("migrate", folder=folder, environ=environ)
    assert migrated.returncode == 0, migrated.stderr
    password = urllib.parse.urlsplit(environ["OSTIARY_DATABASE"]).password
    asyncio.run(in_database(environ["OSTIARY_DATABASE"], f"create role lonely superuser login password '{password}'"))
    try:
        with contextlib.ExitStack() as stack:
            yield Nodes(environ, folder, stack)
    finally:
        postgres_server.drop("four_nodes")
        asyncio.run(in_database(postgres_server.url("postgres"), "drop role lonely"))


@pytest.fixture
def nodes(shared) -> Nodes:
    """All four nodes are up, whatever the test before did to them."""
    shared.start_again()
    until(lambda: all(shared.up()))
    return shared


async def in_database(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


# -- nodes -------------------------------------------------------------------------------------------------------------


def test_a_session_revoked_at_one_node_is_refused_at_all_others(nodes, record_property):
    """Sign-in at the first, refresh at the second, logout at the third, refused at the fourth."""
    with contextlib.ExitStack() as stack:
        doors = [stack.enter_context(contextlib.closing(Through(server.url))) for server in nodes.servers]
        email, delays = registered(doors[0]), []
        for shift in range(10):
            first, second, third, fourth = doors[shift % NODES :] + doors[: shift % NODES]
            session = Session(first, email)
            assert session.sign_in().status_code == 200
            session.at(second)
            assert session.refresh().status_code == 200
            session.at(fourth)
            assert session.me().status_code == 200
            session.at(third)
            assert session.log_out().status_code == 204
            session.at(fourth)
            delays.append(until(lambda session=session: session.me().status_code == 401))
            assert session.refresh().status_code == 401
    record_property("slowest_revocation", max(delays))


def test_a_killed_node_loses_no_acknowledged_operation(nodes, record_property):
    """Callers that repeat an unanswered request lose no session. The other nodes go on."""
    load = Load(nodes.entrance, repeat_after={NO_ANSWER, 502, 503})
    with load.running():
        load.wait("refresh", 40)
        victim = nodes.servers[1]
        os.killpg(victim.process.pid, signal.SIGKILL)
        victim.process.wait(PATIENCE)
        until(lambda: nodes.up() == [True, False, True, True])
        load.wait("refresh", 80)
        load.check()
    record_property("unanswered", load.counts["unavailable"])


def test_a_node_that_does_not_answer_gets_no_requests(nodes):
    """HAProxy asks `/readyz` every second. When the node answers again, it serves again."""
    frozen = nodes.servers[1].workers
    for worker in frozen:
        os.kill(worker, signal.SIGSTOP)
    try:
        until(lambda: nodes.up() == [True, False, True, True])
        serve_without_failure(nodes)
    finally:
        for worker in frozen:
            os.kill(worker, signal.SIGCONT)
    until(lambda: all(nodes.up()))


async def test_a_node_that_cannot_reach_its_database_gets_no_requests(nodes):
    """Only this node's role is locked out of the database. The node runs and answers, but it is not ready."""
    await in_database(
        nodes.database,
        "alter role lonely nologin",
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'lonely'",
    )
    try:
        until(lambda: nodes.up() == [True, True, False, True])
        serve_without_failure(nodes)
    finally:
        await in_database(nodes.database, "alter role lonely login")
    until(lambda: all(nodes.up()))


def serve_without_failure(nodes: Nodes) -> None:
    load = Load(nodes.entrance)  # callers that do not try again
    with load.running():
        load.wait("refresh", 60)
        load.check()


def test_servers_that_stop_cleanly_drop_no_request(nodes):
    """At SIGTERM a node answers what it has begun. HAProxy sends other requests elsewhere."""
    load = Load(nodes.entrance)
    with load.running():
        load.wait("refresh", 20)
        assert nodes.servers[3].end() == 0
        load.wait("refresh", 60)
        load.check()


def test_the_source_of_a_caller_is_its_own_address_and_not_what_it_claims(nodes):
    """Rate limits and audit events count the address that HAProxy saw."""
    forged = {"x-forwarded-for": "192.0.2.66", "forwarded": "for=192.0.2.66", "x_forwarded_for": "192.0.2.66"}
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.9"), base_url=nodes.proxy.url) as caller:
        for _ in range(NODES * 2):
            assert caller.get("/auth/me", headers=forged).status_code == 401
    refused = [json.loads(line) for server in nodes.servers for line in server.err.splitlines() if "refused" in line]
    callers_of_other_tests = {"127.0.0.1"}
    assert {each["source"] for each in refused} - callers_of_other_tests == {"127.0.0.9"}


# -- callers that hold connections -------------------------------------------------------------------------------------


def test_callers_that_never_read_do_not_silence_the_nodes(nodes):
    """Each node accepts 200 connections, and 230 from three sources ask for large answers that they never read."""
    request = b"GET /auth/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50
    with contextlib.ExitStack() as stack:
        before = sockets(nodes.proxy.pid)
        for source in sources(230, per=80):
            stack.enter_context(hold(nodes, source, request, receive=4096))
        until(lambda: sockets(nodes.proxy.pid) > before + 200)
        assert served_meanwhile(nodes) == {200}
        # the nodes are free while HAProxy still holds the responses
        until(lambda: max(map(sockets, nodes.workers())) < 100)
        assert sockets(nodes.proxy.pid) > before + 200
        until(lambda: sockets(nodes.proxy.pid) < before + 50, patience=3 * PATIENCE)


def test_idle_connections_do_not_reach_the_nodes(nodes):
    """1,000 connections of ten sources that send nothing, or half a request, stay at HAProxy until it drops them."""
    before = max(map(sockets, nodes.workers()))
    with contextlib.ExitStack() as stack:
        for source in sources(500, per=SOURCE_LIMIT):
            stack.enter_context(hold(nodes, source, b""))
        for source in sources(500, per=SOURCE_LIMIT, first=20):
            stack.enter_context(hold(nodes, source, b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Le"))
        assert served_meanwhile(nodes) == {200}
        assert max(map(sockets, nodes.workers())) < before + 20


def test_one_source_cannot_take_all_connections(nodes):
    """Beyond its limit, a source is refused. Others connect."""
    with contextlib.ExitStack() as stack:
        held = []
        for _ in range(SOURCE_LIMIT * 2):
            with contextlib.suppress(ConnectionError):
                held.append(stack.enter_context(hold(nodes, "127.0.0.30", b"")))
        until(lambda: sum(map(is_open, held)) <= SOURCE_LIMIT)
        assert served_meanwhile(nodes) == {200}


def sources(number: int, *, per: int, first: int = 10) -> Iterator[str]:
    """Addresses of loopback, each one ``per`` times."""
    return (f"127.0.0.{first + index // per}" for index in range(number))


@contextlib.contextmanager
def hold(nodes: Nodes, source: str, sent: bytes, *, receive: int | None = None) -> Iterator[socket.socket]:
    with socket.socket() as connection:
        if receive:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        connection.bind((source, 0))
        connection.settimeout(PATIENCE)
        connection.connect(("127.0.0.1", nodes.proxy.port))
        with contextlib.suppress(OSError):
            connection.sendall(sent)
        connection.setblocking(False)
        yield connection


def is_open(connection: socket.socket) -> bool:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_ESTABLISHED


def served_meanwhile(nodes: Nodes) -> set[int]:
    """The statuses that honest callers get, one request after the other and several at once."""
    with ThreadPoolExecutor(8) as pool:
        asked = itertools.repeat("/healthz", 200)
        return set(pool.map(lambda path: nodes.entrance.request("GET", path).status_code, asked))
