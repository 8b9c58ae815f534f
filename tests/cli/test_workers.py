"""`ostiary serve --workers 2`: two processes, one installation."""

import contextlib
import time
from pathlib import Path

import pytest

from tests.cli.program import Caller, Served

CONNECTIONS = 16
"""The kernel deals connections out by chance: that all of so many go to one of two workers happens once in 32,768."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = {"OSTIARY_LIMIT_LOGIN": "1000/second"}
    with Served(tmp_path_factory.mktemp("workers"), "--workers", 2, environ=settings) as served:
        yield served.ready()


@pytest.fixture(scope="module")
def callers(server):
    """The same person on many connections, spread over both workers."""
    with contextlib.ExitStack() as stack:
        callers = [Caller(stack.enter_context(server.client()), "ada@example.com") for _ in range(CONNECTIONS)]
        callers[0].register()
        yield callers


def test_both_processes_serve(server, callers):
    before = [_sockets(worker) for worker in server.workers]
    for caller in callers:
        caller.client.get("/healthz").raise_for_status()
    gained = [_sockets(worker) - sockets for worker, sockets in zip(server.workers, before, strict=True)]
    assert len(gained) == 2
    assert min(gained) > 0


def test_registered_with_one_known_to_both(callers):
    tokens = [caller.login() for caller in callers]
    assert {caller.me(tokens[0]).status_code for caller in callers} == {200}
    assert {callers[0].me(each).status_code for each in tokens} == {200}


def test_a_logout_is_known_to_both_within_a_second(callers):
    tokens = callers[0].login()
    assert {caller.me(tokens).status_code for caller in callers} == {200}
    logout = callers[0].client.post(
        "/auth/logout", headers={"authorization": f"Bearer {tokens['access_token']}"}, json={}
    )
    assert logout.status_code == 204
    answered = time.monotonic()
    seen = [200]
    while 200 in seen:
        asked = time.monotonic()
        seen = [caller.me(tokens).status_code for caller in callers]
        assert 200 not in seen or asked - answered < 1.0, "a worker lets a revoked token in"
    assert set(seen) == {401}


def _sockets(pid):
    return sum(1 for descriptor in Path(f"/proc/{pid}/fd").iterdir() if _target(descriptor).startswith("socket:"))


def _target(descriptor):
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:
        return ""
