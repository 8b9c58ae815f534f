"""Runs `ostiary serve` in separate processes, and opens connections whose server process is known."""

import contextlib
import http.client
import itertools
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from _servers import free_port

PASSWORD: Final = "a door for every porter"
START_SECONDS: Final = 20
TRIES: Final = 64
"""How many connections to try until another worker accepts one. The kernel distributes them at random."""

_SETTINGS: Final = {
    "OSTIARY_SIGN_IN_LIMIT": "1000000/second",
    "OSTIARY_SIGN_IN_ACCOUNT_LIMIT": "1000000/second",
    "OSTIARY_REGISTRATION_LIMIT": "1000000/second",
    "OSTIARY_REGISTRATION_DAILY_LIMIT": "1000000/second",
    "OSTIARY_SESSIONS_LIMIT": "10000",
    "OSTIARY_SESSIONS_REFRESH_LIMIT": "1000000/second",
}
_ESTABLISHED: Final = "01"  # in /proc/net/tcp

_numbers: Final = itertools.count()


class Server(NamedTuple):
    port: int
    process: "subprocess.Popen[bytes]"
    folder: Path
    environ: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def workers(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def command(self, *words: str) -> dict[str, Any]:
        """Runs `ostiary …` and returns the JSON that it prints."""
        command = [sys.executable, "-m", "ostiary", *words, "--json"]
        done = subprocess.run(command, cwd=self.folder, env=dict(self.environ), stdout=subprocess.PIPE, check=True)
        told: dict[str, Any] = json.loads(done.stdout)
        return told


@contextlib.contextmanager
def serving(folder: Path, *arguments: str, settings: Mapping[str, str]) -> Iterator[Server]:
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OSTIARY_")}
    environ = {**kept, **_SETTINGS, "OSTIARY_ISSUER": f"http://127.0.0.1:{port}", **settings}
    command = [sys.executable, "-m", "ostiary", "serve", "--port", str(port), *arguments]
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            _wait_until_ready(process, port)
            yield Server(port, process, folder, environ)
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def on_postgres(folder: Path, database: str) -> Iterator[tuple[Server, Server]]:
    """Runs two servers, the nodes of one installation."""
    settings = {"OSTIARY_DATABASE": database, "OSTIARY_SECRET": secrets.token_urlsafe(32)}
    migrate = [sys.executable, "-m", "ostiary", "migrate"]
    subprocess.run(migrate, cwd=folder, env={**os.environ, **settings}, check=True, stdout=subprocess.DEVNULL)
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(serving(folder, settings=settings))
        yield one, stack.enter_context(serving(folder, settings={**settings, "OSTIARY_ISSUER": one.url}))


class Caller:
    """One persistent connection."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port)
        self._connection.connect()
        self.email = f"bench{next(_numbers)}@example.com"
        self.ask("GET", "/healthz", expected=200)

    def register(self) -> "Caller":
        self.ask("POST", "/auth/register", {"email": self.email, "password": PASSWORD}, expected=202)
        return self

    def login(self, **fields: str) -> dict[str, str]:
        body = {"email": self.email, "password": PASSWORD, **fields}
        tokens: dict[str, str] = json.loads(self.ask("POST", "/auth/login", body, expected=200))
        return tokens

    def logout(self, tokens: Mapping[str, str]) -> None:
        self.ask("POST", "/auth/logout", {"refresh_token": tokens["refresh_token"]}, expected=204)

    def is_refused(self, tokens: Mapping[str, str]) -> bool:
        status, _ = self._answer("GET", "/auth/me", None, {"authorization": f"Bearer {tokens['access_token']}"})
        if status not in {200, 401}:
            raise RuntimeError(f"{status} for an access token")
        return status == 401

    def worker(self, server: Server) -> int:
        """Returns the id of the process at the other end."""
        ours = self._connection.sock.getsockname()[1]
        inode = next(
            inode
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
            for _, local, remote, state, *_, inode in [line.split()[:10]]
            if (_port(local), _port(remote), state) == (server.port, ours, _ESTABLISHED)
        )
        return next(pid for pid in server.workers if f"socket:[{inode}]" in _open_files(pid))

    def ask(self, method: str, path: str, body: Mapping[str, str] | None = None, *, expected: int) -> bytes:
        status, content = self._answer(method, path, body, {})
        if status != expected:
            raise RuntimeError(f"{method} {path}: {status} {content.decode()}")
        return content

    def _answer(
        self, method: str, path: str, body: Mapping[str, str] | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        content = None if body is None else json.dumps(body)
        if content is not None:
            headers = {**headers, "content-type": "application/json"}
        self._connection.request(method, path, content, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def callers_of_two_workers(server: Server) -> tuple[Caller, Caller]:
    first = Caller(server)
    for _ in range(TRIES):
        other = Caller(server)
        if other.worker(server) != first.worker(server):
            return first, other
    raise SystemExit("the same worker accepted every connection")


def _port(address: str) -> int:
    return int(address.partition(":")[2], 16)


def _open_files(pid: int) -> set[str]:
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return found


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
        with contextlib.suppress(OSError):
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise SystemExit("ostiary serve did not start")
