"""What one source can occupy: connections that are never read, and connections without number."""

import contextlib
import errno
import http.client
import ipaddress
import json
import os
import select
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ostiary.cli import connections
from ostiary.cli.connections import Connections
from tests.cli.program import PATIENCE, PROGRAM, Served
from tests.logged import written

ATTACKER = "127.0.0.2"

pytestmark = pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="needs Linux")


@contextlib.contextmanager
def listening(clients, *, address="127.0.0.1"):
    """A server's sockets, and those of its clients, which never read."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((address, 0)))
        ours, theirs = [], []
        for _ in range(clients):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(listener.getsockname())
            theirs.append(client)
            ours.append(stack.enter_context(listener.accept()[0]))
        yield listener, ours, theirs


def watching(listener, *, most=4096, proxies=()):
    return Connections(port=listener.getsockname()[1], most=most, proxies=proxies)


def fill(one):
    """Sends until the kernel takes no more."""
    one.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            one.send(bytes(65536))


def dropped_within(seconds, one):
    deadline = time.monotonic() + seconds
    while (error := one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    return error == errno.ETIMEDOUT


def is_ended(client):
    """Whether the server has aborted the connection."""
    readable, _, _ = select.select([client], [], [], 0)
    try:
        return bool(readable) and client.recv(1) == b""
    except ConnectionError:
        return True


def test_the_kernel_drops_a_client_that_never_reads(monkeypatch):
    monkeypatch.setattr(connections, "_UNREAD_SECONDS", 1)
    with listening(1) as (listener, (accepted_before,), _), socket.create_server(("127.0.0.1", 0)) as other:
        watching(listener).look()
        fill(accepted_before)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(listener.getsockname())
            accepted_after = listener.accept()[0]
            fill(accepted_after)
            for one in (accepted_before, accepted_after):
                assert dropped_within(PATIENCE, one)
            accepted_after.close()
        assert other.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0, "other sockets stay as they are"


@pytest.mark.parametrize(("most", "ended"), [(128, 8), (4096, 0)])
def test_exactly_the_connections_beyond_the_share_of_a_source_are_ended(most, ended, caplog):
    with listening(40) as (listener, _, theirs), listening(40) as (_, _, others):
        watching(listener, most=most).look()
        assert sum(map(is_ended, theirs)) == ended
        assert not any(map(is_ended, others)), "only the port of the server is bounded"
    lines = [json.loads(text) for text in written(caplog, logger="ostiary.serve").splitlines()]
    expected = [("connections.ended", "127.0.0.1", 8, 32)] if ended else []
    assert [(line["event"], line["source"], line["count"], line["limit"]) for line in lines] == expected


def test_a_trusted_proxy_is_not_bounded():
    with listening(40) as (listener, _, theirs):
        watching(listener, most=128, proxies=(ipaddress.ip_network("127.0.0.0/8"),)).look()
        assert not any(is_ended(client) for client in theirs)


def test_an_error_while_watching_is_logged_and_the_watch_goes_on(monkeypatch, caplog):
    again = threading.Event()
    for pause in ("_SEARCHING", "_AFTER_ERROR"):
        monkeypatch.setattr(connections, pause, 0.01)
    looks = iter([lambda: 1 / 0, lambda: 1 / 0, again.set, threading.Event().wait])
    monkeypatch.setattr(Connections, "look", lambda _: next(looks)())
    Connections(port=1, most=1, proxies=()).begin()
    assert again.wait(PATIENCE)
    lines = written(caplog, logger="ostiary.serve").splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["connections.unwatched"] * 2


LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (456, 456))
os.execv(sys.argv[1], sys.argv[1:])
"""


class Small(Served):
    """A server that may open few files. It accepts 200 connections, and 50 from one source."""

    command = (sys.executable, "-c", LIMITED, PROGRAM, "serve")


def established(port):
    here, attacker = f":{port:04X}", socket.inet_aton(ATTACKER)[::-1].hex().upper()
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(here) and row[2].startswith(attacker) and row[3] == "01" for row in rows)


def test_230_clients_that_never_read_do_not_silence_a_server_with_200_connections(tmp_path):
    request = b"GET /.well-known/oauth-authorization-server HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 200
    with Small(tmp_path) as served, contextlib.ExitStack() as stack:
        served.ready()
        clients = []
        for _ in range(230):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.bind((ATTACKER, 0))
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(("127.0.0.1", served.port))
            clients.append(client)
        deadline = time.monotonic() + PATIENCE
        while established(served.port) > 50 or "connections.ended" not in served.err:
            assert time.monotonic() < deadline, "one source keeps more than its share"
            for client in clients:
                with contextlib.suppress(OSError):
                    client.send(request)
            time.sleep(0.05)
        visitor = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
        visitor.request("GET", "/healthz")
        assert visitor.getresponse().status == 200
        visitor.close()


def test_looking_at_the_sockets_keeps_the_locks_on_the_database(tmp_path):
    """SQLite uses POSIX locks. Closing any descriptor of the file gives up all of them: another worker then writes at
    the same time, and both read a disk I/O error."""
    path = tmp_path / "app.db"
    other = f"import sqlite3; sqlite3.connect({str(path)!r}, timeout=0).execute('begin immediate')"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database, listening(40) as (listener, *_):
        database.execute("pragma journal_mode = wal")
        database.execute("begin immediate")
        for _ in range(3):
            watching(listener, most=1).look()
            done = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=False)
            assert "database is locked" in done.stderr


def test_a_number_that_the_server_uses_again_is_left_alone(monkeypatch):
    """The server closes a connection while the watch looks at it, and a connection to the database gets its number."""
    peer_of, database = socket.socket.getpeername, []

    with listening(33) as (listener, ours, _), socket.create_server(("127.0.0.1", 0)) as other:

        def getpeername(self):
            peer = peer_of(self)
            if not database and self.getsockname() == listener.getsockname() and len(seen) == 32:
                number = ours[-1].detach()
                os.close(number)
                database.append(socket.create_connection(other.getsockname()))
                assert database[0].fileno() == number
            seen.append(peer)
            return peer

        seen = []
        monkeypatch.setattr(socket.socket, "getpeername", getpeername)
        watching(listener, most=1).look()
        monkeypatch.undo()
        accepted, _ = other.accept()
        with accepted, database[0]:
            database[0].sendall(b"still open")
            accepted.settimeout(5)
            assert accepted.recv(10) == b"still open"
