"""Runs the installed program as a user would: in its own process and folder, with only the given settings."""

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import httpx

from ostiary import cli

PROGRAM = Path(sys.executable).with_name("ostiary")

PATIENCE = 20.0
"""Timeout in seconds for any step: the machine may be busy."""

PASSWORD = "violet-anchor-drifts-73"


def run(*arguments, folder, stdin="", environ=None):
    """Runs one command and waits until it exits."""
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        cwd=folder,
        env=environment(environ),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def call(*arguments, folder, stdin="", environ=None):
    """Runs one command in this process, which saves the time that Python needs to start."""
    streams = {name: io.TextIOWrapper(io.BytesIO(), "utf-8") for name in ("stdout", "stderr")}
    streams["stdin"] = io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8")
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, environment(environ), clear=True),
        mock.patch.multiple(sys, **streams),
    ):
        code = cli.run([*map(str, arguments)])
    out, err = (streams[name].detach().getvalue().decode() for name in ("stdout", "stderr"))
    return subprocess.CompletedProcess(arguments, code, out, err)


def environment(settings=None):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OSTIARY_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling at each start would take most of the time
    return {**kept, "NO_COLOR": "1", **(settings or {})}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Served:
    """A running `ostiary serve`. The constructor waits for its first output, and `ready` waits until it answers."""

    command: tuple[object, ...] = (PROGRAM, "serve")
    ready_path = "/readyz"

    def __init__(self, folder, *arguments, environ=None, port=None, stderr=None):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._files = contextlib.ExitStack()
        self._out = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        self._err = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        self.process = subprocess.Popen(
            [*self.command, "--port", str(self.port), *map(str, arguments)],
            cwd=folder,
            env=environment(environ),
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err if stderr is None else stderr,
            start_new_session=True,
        )
        _wait_for(lambda: self.out or self.process.poll() is not None)
        assert self.process.poll() is None, self.err

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            if self.process.poll() is None:
                self.end()
        finally:
            # even if the test fails because the processes do not stop: no process may outlive its test
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE)
            self._files.close()

    def ready(self):
        _wait_for(self._answers)
        return self

    def client(self, **arguments):
        return httpx.Client(base_url=self.url, timeout=PATIENCE, **arguments)

    @property
    def out(self):
        return _content(self._out)

    @property
    def err(self):
        return _content(self._err)

    @property
    def workers(self):
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def end(self, number=signal.SIGTERM):
        """Stops it as a container engine would, and returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def interrupt(self):
        """Sends Ctrl-C as a terminal does, to the parent and the workers."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(PATIENCE)

    def _answers(self):
        assert self.process.poll() is None, self.err
        try:
            return httpx.get(self.url + self.ready_path, timeout=PATIENCE).status_code == 200
        except httpx.TransportError:
            return False


class Caller:
    """A user who signs in, and remembers the secrets that no output may contain."""

    def __init__(self, client, email, password=PASSWORD):
        self.client = client
        self.email = email
        self.password = password
        self.secrets = {password}

    def register(self):
        answer = self.client.post("/auth/register", json={"email": self.email, "password": self.password})
        assert answer.status_code == 202, answer.text
        return self

    def login(self):
        answer = self.client.post("/auth/login", json={"email": self.email, "password": self.password})
        assert answer.status_code == 200, answer.text
        return self._remember(answer.json())

    def refresh(self, tokens):
        answer = self.client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        assert answer.status_code == 200, answer.text
        return self._remember(answer.json())

    def me(self, tokens):
        return self.client.get("/auth/me", headers={"authorization": f"Bearer {tokens['access_token']}"})

    def _remember(self, tokens):
        self.secrets |= {tokens["access_token"], tokens["refresh_token"]}
        return tokens


def sockets(pid):
    """How many sockets a process has open."""
    return sum(1 for descriptor in Path(f"/proc/{pid}/fd").iterdir() if _target(descriptor).startswith("socket:"))


def _target(descriptor):
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:
        return ""


def _content(file):
    # pread, because the offset is shared with the writing process
    return os.pread(file.fileno(), 10**7, 0).decode()


def _wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)
