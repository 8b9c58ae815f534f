"""Revocation in other services with a running Ostiary: immediately by feed, and at the next renewal by status list."""

import json
import time

import pytest

from ostiary import Verifier
from ostiary.errors import BadSignature, RevocationsUnknown, TokenRevoked
from ostiary.verifier import ClientCredentials, RemoteKeys, RemoteVerifier, StatusLists
from ostiary.verifier.remote.keys import COOL_DOWN_OF_ISSUER
from tests.cli.program import Caller, Served, run
from tests.verifier.test_remote_keys import Monotonic


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("issuer")
    with Served(folder) as served:
        made = served.ready()
        made.folder = folder
        yield made


@pytest.fixture
def client(server):
    with server.client() as http:
        yield http


@pytest.fixture(scope="module")
def known(server):
    """Registers a client at the issuer."""
    made = run("clients", "create", "orders", "--json", folder=server.folder)
    assert made.returncode == 0, made.stderr
    client = json.loads(made.stdout)
    return ClientCredentials(client["id"], client["secret"])


def seconds_until(error, verifier, token):
    """The number of seconds until the token is refused with this error."""
    start = time.monotonic()
    while time.monotonic() < start + 15:
        try:
            verifier.verify(token)
        except error:
            return time.monotonic() - start
        except RevocationsUnknown:
            pass
        time.sleep(0.01)
    raise AssertionError("the token is still accepted")


def log_out(client, tokens):
    answer = client.post("/auth/logout", json={}, headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert answer.status_code == 204, answer.text


def test_a_service_that_follows_the_feed_refuses_an_ended_session_within_a_second(server, client, known):
    with Verifier.remote(server.url, audience=server.url, development=True, feed=known) as verifier:
        ada = Caller(client, "ada@example.com").register()
        ended, kept = ada.login(), ada.login()
        for tokens in (ended, kept):
            assert verifier.verify(tokens["access_token"]).iss == server.url
        log_out(client, ended)
        assert seconds_until(TokenRevoked, verifier, ended["access_token"]) < 5  # one second on an idle machine
        assert verifier.verify(kept["access_token"]).iss == server.url
    late = Verifier.remote(server.url, audience=server.url, development=True, feed=known)
    with late, pytest.raises(TokenRevoked):
        late.verify(ended["access_token"])


def test_an_unknown_client_gets_no_feed_and_admits_no_caller(server, client):
    tokens = Caller(client, "eve@example.com").register().login()
    stranger = ClientCredentials("client_stranger", "guessed")
    verifier = Verifier.remote(server.url, audience=server.url, development=True, feed=stranger)
    with verifier, pytest.raises(RevocationsUnknown):
        verifier.verify(tokens["access_token"])


def test_a_service_that_knows_only_the_url_uses_the_status_list(server, client):
    monotonic = Monotonic()
    keys = RemoteKeys(server.url, development=True)
    lists = StatusLists(keys, monotonic=monotonic)
    made = {"issuer": server.url, "audience": server.url, "revocations": lists}
    verifier = RemoteVerifier(keys, lambda key_set: Verifier(keys=key_set, **made))
    bob = Caller(client, "bob@example.com").register()
    ended, kept = bob.login(), bob.login()
    for tokens in (ended, kept):
        assert verifier.verify(tokens["access_token"]).status is not None
    log_out(client, ended)
    assert verifier.verify(ended["access_token"]).iss == server.url  # according to the previous list
    time.sleep(2)  # the issuer checks its list once a second
    monotonic.now += 60
    with pytest.raises(TokenRevoked):
        verifier.verify(ended["access_token"])
    assert verifier.verify(kept["access_token"]).iss == server.url


def test_j41_a_revoked_key_is_refused_by_services_that_follow_the_feed(server, client, known):
    tokens = Caller(client, "mallory@example.com").register().login()
    with Verifier.remote(server.url, audience=server.url, development=True, feed=known) as verifier:
        verifier.verify(tokens["access_token"])
        listed = json.loads(run("keys", "jwks", folder=server.folder).stdout)
        revoked = run("keys", "revoke", listed["keys"][0]["kid"], folder=server.folder, stdin="y\n")
        assert revoked.returncode == 0, revoked.stderr
        assert seconds_until(BadSignature, verifier, tokens["access_token"]) < 2 * COOL_DOWN_OF_ISSUER
