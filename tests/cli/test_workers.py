"""`ostiary serve --workers 2`: two processes serve one installation."""

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.program import PATIENCE, Caller, Served, sockets

CONNECTIONS = 16
"""The kernel assigns connections to workers at random: all 16 go to the same one of two workers once in 32,768 runs."""

ENDING = {signal.SIGINT, signal.SIGTERM}

# The time between the fork and the worker's first line is too short to observe from outside.
FORKS_ONCE = """
import os, signal
from ostiary.cli import workers
from ostiary.cli.address import Address

def held():
    return {signal.SIGINT, signal.SIGTERM} <= signal.pthread_sigmask(signal.SIG_BLOCK, ())

class Forks(workers.Server):
    def serve(self, **_):
        child = os.fork()
        if child == 0:
            os._exit(held())
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(f"child held: {bool(status)}, parent held: {held()}")

workers.Server = Forks
workers.run(None, Address("127.0.0.1", 1), workers=1, announce=lambda: None)
"""

TELLS_ITS_LIMITS = """
import resource, sys
from ostiary.cli import workers
from ostiary.cli.address import Address

resource.setrlimit(resource.RLIMIT_NOFILE, tuple(map(int, sys.argv[1:])))

class Tells(workers.Server):
    def serve(self, **_):
        print(self.backlog, self.backpressure, *resource.getrlimit(resource.RLIMIT_NOFILE))

workers.Server = Tells
workers.run(None, Address("127.0.0.1", 1), workers=8, announce=lambda: None)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = {
        "OSTIARY_SIGN_IN_LIMIT": "1000/second",
        "OSTIARY_SIGN_IN_ACCOUNT_LIMIT": "1000/second",
        "OSTIARY_SESSIONS_LIMIT": str(CONNECTIONS),
    }
    with Served(tmp_path_factory.mktemp("workers"), "--workers", 2, environ=settings) as served:
        yield served.ready()


@pytest.fixture(scope="module")
def callers(server):
    """The same user on many connections, spread over both workers."""
    with contextlib.ExitStack() as stack:
        callers = [Caller(stack.enter_context(server.client()), "ada@example.com") for _ in range(CONNECTIONS)]
        callers[0].register()
        yield callers


def test_both_processes_serve(server, callers):
    before = [sockets(worker) for worker in server.workers]
    for caller in callers:
        caller.client.get("/healthz").raise_for_status()
    gained = [sockets(worker) - had for worker, had in zip(server.workers, before, strict=True)]
    assert len(gained) == 2
    assert min(gained) > 0


def test_an_account_and_its_tokens_work_on_both_workers(callers):
    tokens = [caller.login() for caller in callers]
    assert {caller.me(tokens[0]).status_code for caller in callers} == {200}
    assert {callers[0].me(each).status_code for each in tokens} == {200}


def test_a_logout_on_one_worker_takes_effect_on_both(callers):
    tokens = callers[0].login()
    assert {caller.me(tokens).status_code for caller in callers} == {200}
    logout = callers[0].client.post(
        "/auth/logout", headers={"authorization": f"Bearer {tokens['access_token']}"}, json={}
    )
    assert logout.status_code == 204
    deadline = time.monotonic() + PATIENCE
    while (seen := {caller.me(tokens).status_code for caller in callers}) != {401}:
        assert seen == {200, 401} or seen == {200}
        assert time.monotonic() < deadline, "a worker still accepts a revoked token"


def test_a_worker_blocks_signals_until_it_serves(tmp_path):
    with Served(tmp_path) as server:
        while not server.workers:
            pass
        assert _held(server.workers[0]) >= ENDING
        server.ready()
        deadline = time.monotonic() + PATIENCE
        while _held(server.workers[0]) & ENDING:
            assert time.monotonic() < deadline, "a serving worker still blocks the signals"
            time.sleep(0.02)


def test_a_forked_worker_blocks_signals_before_its_first_line_runs():
    done = subprocess.run(
        [sys.executable, "-c", FORKS_ONCE], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert done.stdout == "child held: True, parent held: False\n"


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        ((8192, 8192), "4096 4096 8192 8192"),
        ((1024, 8192), "4096 4096 4352 8192"),
        ((512, 1024), "4096 768 1024 1024"),
    ],
)
def test_each_worker_accepts_thousands_of_connections_and_leaves_file_descriptors_free(files, taken):
    """Idle connections of one caller cannot fill a worker, and the database connections still find free descriptors."""
    done = subprocess.run(
        [sys.executable, "-c", TELLS_ITS_LIMITS, *map(str, files)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout == f"{taken}\n"


def _held(pid):
    """The signals that the main thread of the process blocks."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigBlk:")), 16)
    return {number for number in signal.Signals if mask >> (number - 1) & 1}
