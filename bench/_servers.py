"""The servers that `refresh.py` loads: Ostiary in Granian, PostgreSQL from a wheel, and other libraries."""

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

from _wrk import Load

BENCH: Final = Path(__file__).parent
PASSWORD: Final = "a door for every porter"
START_SECONDS: Final = 20

_numbers: Final = itertools.count()


class Server(NamedTuple):
    port: int
    process_id: int

    def processor_time(self) -> float:
        """Seconds that the server's processes have used so far."""
        return sum(_processor_time(each) for each in _family(self.process_id))


@contextlib.contextmanager
def ostiary(database: str, *, workers: int) -> Iterator[Server]:
    """Runs ``_served.py`` in Granian. A database other than SQLite is migrated first."""
    port, environ = free_port(), {**os.environ, "OSTIARY_DATABASE": database}
    if not database.startswith("sqlite:"):
        environ.setdefault("OSTIARY_SECRET", os.urandom(32).hex())
        migrate = "import asyncio, _served; asyncio.run(_served.auth.migrate())"
        subprocess.run([sys.executable, "-c", migrate], cwd=BENCH, env=environ, check=True)
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(port), "--workers", str(workers)]
    command += ["--no-access-log", "--log-level", "error", "_served:app"]
    with _running(subprocess.Popen(command, cwd=BENCH, env=environ), port) as server:
        yield server


@contextlib.contextmanager
def peer(library: ModuleType, folder: Path) -> Iterator[Server]:
    port = free_port()
    with _running(library.start(port, folder), port) as server:
        yield server


@contextlib.contextmanager
def postgres() -> Iterator[Callable[[str], str]]:
    """Runs PostgreSQL with fsync. Yields a function that creates an empty database by name and returns its URL."""
    sys.path.append(str(BENCH.parent))
    from tests.servers import PostgresServer  # noqa: PLC0415 — its dependencies are installed only for the tests

    server = PostgresServer()
    try:
        yield server.create
    finally:
        server.close()


def register(port: int, count: int) -> list[str]:
    """Creates accounts and returns their credentials as JSON."""
    credentials = [f'{{"email":"bench{next(_numbers)}@example.com","password":"{PASSWORD}"}}' for _ in range(count)]
    for each in credentials:
        _post(port, "/auth/register", each)
    return credentials


def refreshing(port: int, path: str, credentials: Sequence[str]) -> Load:
    """Signs every account in. The load refreshes at ``path``, each connection with its newest token."""
    answers = [_post(port, "/auth/login", each) for each in credentials]
    return Load(
        line=f"POST {path}",
        headers=["content-type: application/json"],
        body='{"refresh_token":"TOKEN"}',
        tokens=[answer.decode().split('"refresh_token":"')[1].split('"')[0] for answer in answers],
        pattern='"refresh_token":"([^"]+)"',
        rotates=True,
    )


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextlib.contextmanager
def _running(process: "subprocess.Popen[bytes]", port: int) -> Iterator[Server]:
    try:
        _wait_for(process, port)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        time.sleep(0.1)
    raise SystemExit("a server did not start")


def _family(process_id: int) -> list[int]:
    """A process and all its descendants."""
    children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    return [process_id, *(each for child in children for each in _family(int(child)))]


def _processor_time(process_id: int) -> float:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime, see proc(5)


def _post(port: int, path: str, body: str) -> bytes:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=body.encode(), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())
