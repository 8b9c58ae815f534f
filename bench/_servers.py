"""The servers that `refresh.py` loads: Ostiary in Granian, PostgreSQL from a wheel, and other libraries."""

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

from _load import Client, Refreshing

BENCH: Final = Path(__file__).parent
PASSWORD: Final = "a door for every porter"
START_SECONDS: Final = 20

_numbers: Final = itertools.count()


@contextlib.contextmanager
def ostiary(database: str, *, workers: int) -> Iterator[int]:
    """Runs ``_served.py`` in Granian and yields its port. A database other than SQLite is migrated first."""
    port, environ = free_port(), {**os.environ, "OSTIARY_DATABASE": database}
    if not database.startswith("sqlite:"):
        environ.setdefault("OSTIARY_SECRET", os.urandom(32).hex())
        migrate = "import asyncio, _served; asyncio.run(_served.auth.migrate())"
        subprocess.run([sys.executable, "-c", migrate], cwd=BENCH, env=environ, check=True)
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(port), "--workers", str(workers)]
    command += ["--no-access-log", "--log-level", "error", "_served:app"]
    with _running(subprocess.Popen(command, cwd=BENCH, env=environ), port):
        yield port


@contextlib.contextmanager
def peer(library: ModuleType, folder: Path) -> Iterator[int]:
    port = free_port()
    with _running(library.start(port, folder), port):
        yield port


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


def sign_in(port: int, path: str) -> Client:
    """Creates an account, signs it in and returns a client that refreshes at ``path``."""
    credentials = f'{{"email":"bench{next(_numbers)}@example.com","password":"{PASSWORD}"}}'
    _post(port, "/auth/register", credentials)
    tokens = _post(port, "/auth/login", credentials)
    return Refreshing(path, tokens.split(b'"refresh_token":"')[1].split(b'"')[0])


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextlib.contextmanager
def _running(process: "subprocess.Popen[bytes]", port: int) -> Iterator[None]:
    try:
        _wait_for(process, port)
        yield
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


def _post(port: int, path: str, body: str) -> bytes:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=body.encode(), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())
