"""Measures what clients that never read, and idle connections, do to `ostiary serve`.

    scripts/bench slow_clients [--readers 230] [--idle 6000] [--slots 200] [--patience 60]

Two attacks, each from one address (127.0.0.2), while another (127.0.0.1) asks for /healthz:

- Clients send pipelined requests and never read a response. The limit of open files leaves the server ``--slots``
  connections, as in a small container.
- Idle connections, more than the usual server accepts.

It shows how long /healthz takes at worst, and how many connections of the attack are left in the end. Everything runs
on this machine.
"""

import argparse
import contextlib
import http.client
import os
import resource
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from _servers import free_port

ATTACKER, VISITOR = "127.0.0.2", "127.0.0.1"
REQUEST: Final = b"GET /.well-known/oauth-authorization-server HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
ESTABLISHED: Final = "01"  # in /proc/net/tcp
OTHER_FILES: Final = 256  # that a worker keeps for itself
LONGEST: Final = 60.0  # seconds to wait for /healthz


class Seen(NamedTuple):
    worst: float
    """Seconds that /healthz took."""
    failures: int
    left: int


@contextlib.contextmanager
def serving(files: int | None = None) -> Iterator[int]:
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OSTIARY_")}
    limited = () if files is None else ("prlimit", f"--nofile={files}:{files}")
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("wb") as log:
        process = subprocess.Popen(
            [*limited, sys.executable, "-m", "ostiary", "serve", "--port", str(port)],
            cwd=folder,
            env=kept,
            stdout=log,
            stderr=log,
        )
        try:
            while ask(port) is None:
                time.sleep(0.2)
            yield port
        finally:
            process.terminate()
            process.wait()


def ask(port: int) -> float | None:
    """The seconds that /healthz takes, or None if there was no response."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST, source_address=(VISITOR, 0))
    try:
        connection.request("GET", "/healthz")
        return time.perf_counter() - started if connection.getresponse().status == 200 else None
    except OSError:
        return None
    finally:
        connection.close()


class Attack:
    """Connections from `ATTACKER` which are never read."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sockets: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()

    def open(self, count: int, *, busy: bool) -> None:
        for _ in range(count):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.bind((ATTACKER, 0))
            one.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                one.connect(("127.0.0.1", self._port))
            self._sockets.append(one)
            if busy:
                self._selector.register(one, selectors.EVENT_WRITE)

    def push(self, seconds: float) -> None:
        """Sends requests on each connection as long as the server takes them."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until and self._selector.get_map():
            for key, _ in self._selector.select(0.1):
                try:
                    key.fileobj.send(REQUEST * 50)  # type: ignore[union-attr]
                except BlockingIOError:
                    pass
                except OSError:
                    self._selector.unregister(key.fileobj)

    def left(self) -> int:
        """Connections that the server's kernel still holds."""
        here, attacker = f":{self._port:04X}", socket.inet_aton(ATTACKER)[::-1].hex().upper()
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[1].endswith(here) and row[2].startswith(attacker) and row[3] == ESTABLISHED for row in rows)

    def close(self) -> None:
        for one in self._sockets:
            one.close()
        self._selector.close()


def watch(port: int, attack: Attack, seconds: float) -> Seen:
    worst, failures = 0.0, 0
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        took = ask(port)
        failures += took is None
        worst = max(worst, LONGEST if took is None else took)
        attack.push(0.2)
        time.sleep(0.2)
    return Seen(worst, failures, attack.left())


def readers(count: int, slots: int, seconds: float) -> Seen:
    with serving(files=OTHER_FILES + slots) as port:
        attack = Attack(port)
        attack.open(count, busy=True)
        attack.push(5)
        seen = watch(port, attack, seconds)
        attack.close()
        return seen


def idle(count: int, seconds: float) -> Seen:
    with serving() as port:
        attack = Attack(port)
        attack.open(count, busy=False)
        seen = watch(port, attack, seconds)
        attack.close()
        return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=230)
    parser.add_argument("--slots", type=int, default=200)
    parser.add_argument("--idle", type=int, default=6000)
    parser.add_argument("--patience", type=float, default=60)
    given = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, given.idle + 1000)), hard))
    for name, seen in (
        (
            f"{given.readers} clients that never read, {given.slots} slots",
            readers(given.readers, given.slots, given.patience),
        ),
        (f"{given.idle} idle connections", idle(given.idle, min(30, given.patience))),
    ):
        print(f"{name:44} /healthz {seen.worst:5.1f} s at worst, {seen.failures} failed; {seen.left} left")


if __name__ == "__main__":
    main()
