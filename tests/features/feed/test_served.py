"""The feed of `ostiary serve` with two workers. Each request may reach either of them."""

import base64
import contextlib
import json
import signal
import time
from http.client import HTTPConnection

import jwt
import pytest

from ostiary import Verifier
from ostiary.cli import workers
from ostiary.errors import TokenRevoked
from ostiary.verifier import ClientCredentials
from tests.cli.program import PATIENCE, Caller, Served, run

SETTINGS = {
    "OSTIARY_SIGN_IN_LIMIT": "1000/minute",
    "OSTIARY_SIGN_IN_ACCOUNT_LIMIT": "1000/minute",
    "OSTIARY_SESSIONS_LIMIT": "1000",
}


@pytest.fixture
def server(tmp_path):
    with Served(tmp_path, "--workers", "2", environ=SETTINGS) as served:
        yield served.ready()


@pytest.fixture
def made(server, tmp_path):
    created = run("clients", "create", "orders", "--json", folder=tmp_path)
    assert created.returncode == 0, created.stderr
    return json.loads(created.stdout)


@pytest.fixture
def asked(server, made):
    """Sends each request on a new connection, which either worker may get."""
    basic = base64.b64encode(f"{made['id']}:{made['secret']}".encode()).decode()
    with contextlib.ExitStack() as stack:

        def send(query=""):
            connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
            stack.callback(connection.close)
            connection.request("GET", f"/auth/feed?{query}", headers={"authorization": f"Basic {basic}"})
            return connection

        yield send


def seconds_until_refused(verifier, token):
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE:
        try:
            verifier.verify(token)
        except TokenRevoked:  # no other error is expected: revocations are never unknown
            return time.monotonic() - began
        time.sleep(0.01)
    raise AssertionError("the token is still accepted")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_stops_answers_waiting_clients_and_stops_at_once(server, asked, number):
    text = asked().getresponse().read().decode()
    now = jwt.decode(text, options={"verify_signature": False})
    waiting = [asked(f"after={now['generation']}.{now['current']}&wait=30") for _ in range(16)]
    time.sleep(1)
    began = time.monotonic()
    assert server.end(number) == 0
    took = time.monotonic() - began
    assert [question.getresponse().status for question in waiting] == [200] * 16
    assert took < PATIENCE
    # on a busy machine, Granian also logs that it kills a worker that has exited but is not reaped yet
    assert took < workers.PATIENCE or "Killing" not in server.err, "it had to be killed"


def test_a_service_gets_every_revocation_from_either_worker(server, made):
    known = ClientCredentials(made["id"], made["secret"])
    with (
        Verifier.remote(server.url, audience=server.url, development=True, feed=known) as verifier,
        server.client(headers={"connection": "close"}) as client,
    ):
        ada = Caller(client, "ada@example.com").register()
        kept, *ended = [ada.login() for _ in range(12)]
        for tokens in ended:
            assert verifier.verify(tokens["access_token"]).sid == tokens["session_id"]
            answer = client.post("/auth/logout", json={"refresh_token": tokens["refresh_token"]})
            assert answer.status_code == 204
            assert seconds_until_refused(verifier, tokens["access_token"]) < PATIENCE
            assert verifier.verify(kept["access_token"]).sid == kept["session_id"]
