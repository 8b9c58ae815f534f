"""`ostiary serve` as somebody meets it who tries it for the first time, and as it runs afterwards."""

import json
import shutil
import signal
import subprocess
import threading
import time

import httpx
import pytest

from tests.cli.program import PASSWORD, PATIENCE, Caller, Served, free_port, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def server(folder):
    with Served(folder) as served:
        yield served.ready()


@pytest.fixture(scope="module", autouse=True)
def screen(server):
    """What it says before anybody has called it: mails are printed too."""
    return server.out


def test_a_session_from_registration_to_logout(server):
    with server.client() as client:
        somebody = Caller(client, "ada@example.com").register()
        tokens = somebody.login()
        me = somebody.me(tokens)
        assert (me.status_code, me.json()["account"]["email"]) == (200, "ada@example.com")
        tokens = somebody.refresh(tokens)
        assert somebody.me(tokens).status_code == 200
        logout = client.post("/auth/logout", headers={"authorization": f"Bearer {tokens['access_token']}"}, json={})
        assert logout.status_code == 204
        assert somebody.me(tokens).status_code == 401


def test_the_screen_says_what_was_made_and_fits_into_a_terminal(server, screen):
    rows = sum(-(-max(len(line), 1) // 80) for line in screen.splitlines())
    assert rows <= 24
    for said in (
        "ostiary.db (made now)",
        "ostiary.db.secret, mode 0600 (made now",
        f"issuer     {server.url}",
        "not sent (set OSTIARY_MAIL_SMTP)",
        "ES256",
        f"{server.url}/auth/openapi.json",
    ):
        assert said in screen


def test_its_files_are_its_owners_alone(server, folder):
    assert {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}.keys() >= {
        "ostiary.db",
        "ostiary.db.secret",
    }
    assert {file.stat().st_mode & 0o077 for file in folder.iterdir()} == {0}


def test_the_document_it_names_is_there(server):
    assert httpx.get(f"{server.url}/auth/openapi.json").json()["openapi"].startswith("3.1")


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_the_lines_to_try_do_what_they_say(screen):
    lines = [line.strip() for line in screen.splitlines() if line.startswith(("  ME=", "  curl", "  TOKEN="))]
    assert len(lines) == 4
    done = subprocess.run(["sh", "-ec", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("}")
    assert json.loads(done.stdout[done.stdout.index("}") + 1 :])["account"]["email"] == "you@example.com"


def test_a_used_port_is_one_line(server, tmp_path):
    refused = run("serve", "--port", server.port, folder=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"ostiary: cannot listen on 127.0.0.1:{server.port}: Address already in use\n"
    assert list(tmp_path.iterdir()) == []


def test_it_starts_again_on_what_it_made(tmp_path):
    port = free_port()
    with Served(tmp_path, port=port) as first, first.ready().client() as client:
        somebody = Caller(client, "ada@example.com").register()
        tokens = somebody.login()
    with Served(tmp_path, port=port) as second, second.ready().client() as client:
        assert second.out.count("(found)") == 2
        somebody.client = client
        assert somebody.me(tokens).status_code == 200
        assert second.end(signal.SIGHUP) == 0


def test_json_says_the_same_and_everywhere_is_warned_of(tmp_path):
    with Served(tmp_path, "--json", "--host", "0.0.0.0") as server:
        facts = json.loads(server.out)
        assert facts["url"] == facts["issuer"] == server.url
        assert facts["database_made"] is facts["secret_made"] is True
        assert facts["warning"].startswith("Warning: callers of 0.0.0.0:")
        # before a worker serves: the signal must not be lost; `interrupt` waits for PATIENCE and no longer
        assert server.interrupt() == 0


def test_sigterm_lets_requests_finish(tmp_path):
    with Served(tmp_path, environ={"OSTIARY_HASHING_TIME": "30"}) as server, server.ready().client() as client:
        body = {"email": "ada@example.com", "password": PASSWORD}
        answers = []
        request = threading.Thread(target=lambda: answers.append(client.post("/auth/register", json=body)))
        request.start()
        time.sleep(0.25)
        assert not answers, "the request was too fast to be under way"
        assert server.end(signal.SIGTERM) == 0
        request.join()
        assert answers[0].status_code == 202
        events = [json.loads(line)["event"] for line in server.err.splitlines()]
        assert events == ["server.started", "server.stopped"]


def test_workers_end_when_the_parent_is_killed(tmp_path):
    with Served(tmp_path) as server:
        server.ready()
        server.end(signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while _listens(server.url):
            assert time.monotonic() < deadline, "a worker outlives its parent and keeps the port"
            time.sleep(0.05)


def _listens(url):
    try:
        return bool(httpx.get(f"{url}/healthz"))
    except httpx.TransportError:
        return False
