"""`ostiary serve` on its first start, while it runs, and when it stops."""

import json
import shutil
import signal
import socket
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
    """Its output before the first request: mails are printed too."""
    return server.out


def test_a_session_from_registration_to_logout(server):
    with server.client() as client:
        caller = Caller(client, "ada@example.com").register()
        tokens = caller.login()
        me = caller.me(tokens)
        assert (me.status_code, me.json()["account"]["email"]) == (200, "ada@example.com")
        tokens = caller.refresh(tokens)
        assert caller.me(tokens).status_code == 200
        logout = client.post("/auth/logout", headers={"authorization": f"Bearer {tokens['access_token']}"}, json={})
        assert logout.status_code == 204
        assert caller.me(tokens).status_code == 401


def spoken(server, *lines, end=b"\r\n"):
    """The raw answer to a raw request."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(end.join([*lines, b"Connection: close", b"", b""]))
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([b"GET /auth/openapi.json HTTP/1.1", b"Host: a"], b"200"),
        ([b"GET /auth%2Fopenapi.json HTTP/1.1", b"Host: a"], b"404"),
        ([b"GET /auth/%6fpenapi.json HTTP/1.1", b"Host: a"], b"404"),
        ([b"GET /auth//openapi.json HTTP/1.1", b"Host: a"], b"404"),
        ([b"GET /auth/openapi.json;x HTTP/1.1", b"Host: a"], b"404"),
        ([b"GET /auth/openapi.json%00 HTTP/1.1", b"Host: a"], b"404"),
        ([b"GET /auth/openapi.json HTTP/1.1", b"Host: a", b"Host: b"], b"400"),
        ([b"GET /auth/openapi.json HTTP/1.1"], b"400"),
        ([b"GET /healthz HTTP/1.0"], b"200"),
    ],
)
def test_a_request_reaches_a_route_in_one_spelling_and_with_one_host(server, lines, status):
    """`/auth%2Fme` and a second Host header went past the rules of a proxy."""
    assert spoken(server, *lines).split(b" ")[1] == status


def test_a_bare_line_feed_ends_a_header_line_but_no_chunk(server):
    """RFC 9112 §2.2 allows the first. The second would let a proxy and the server see different requests."""
    get = [b"GET /healthz HTTP/1.1", b"Host: a"]
    assert spoken(server, *get, end=b"\n").split(b" ")[1] == b"200"
    post = [b"POST /auth/logout HTTP/1.1", b"Host: a", b"Content-Type: application/json", b"Transfer-Encoding: chunked"]
    for newline, is_accepted in ((b"\r\n", True), (b"\n", False)):
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
            connection.sendall(b"\r\n".join([*post, b"", newline.join([b"2", b"{}", b"0", b"", b""])]))
            assert connection.recv(65536).startswith(b"HTTP/1.1 204") is is_accepted


def test_answers_do_not_name_the_software_of_the_server(server):
    with server.client() as client:
        for path in ("/healthz", "/auth/me", "/nowhere"):
            assert client.get(path).headers["server"] == ""


def test_the_screen_shows_what_was_created_and_fits_into_a_terminal(server, screen):
    rows = sum(-(-max(len(line), 1) // 80) for line in screen.splitlines())
    assert rows <= 24
    for said in (
        "ostiary.db (created)",
        "ostiary.db.secret, mode 0600 (created",
        f"issuer     {server.url}",
        "not sent (set OSTIARY_MAIL_SMTP)",
        "ES256",
        f"{server.url}/auth/openapi.json",
    ):
        assert said in screen


def test_only_the_owner_can_access_the_files(server, folder):
    assert {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}.keys() >= {
        "ostiary.db",
        "ostiary.db.secret",
    }
    assert {file.stat().st_mode & 0o077 for file in folder.iterdir()} == {0}


def test_the_openapi_document_on_the_screen_exists(server):
    assert httpx.get(f"{server.url}/auth/openapi.json").json()["openapi"].startswith("3.1")


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_the_commands_to_try_work(screen):
    lines = [line.strip() for line in screen.splitlines() if line.startswith(("  ME=", "  curl", "  TOKEN="))]
    assert len(lines) == 4
    done = subprocess.run(["sh", "-ec", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("}")
    assert json.loads(done.stdout[done.stdout.index("}") + 1 :])["account"]["email"] == "you@example.com"


def test_a_port_in_use_prints_one_line(server, tmp_path):
    refused = run("serve", "--port", server.port, folder=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"ostiary: cannot listen on 127.0.0.1:{server.port}: Address already in use\n"
    assert list(tmp_path.iterdir()) == []


def test_a_second_start_uses_the_existing_files(tmp_path):
    port = free_port()
    with Served(tmp_path, port=port) as first, first.ready().client() as client:
        caller = Caller(client, "ada@example.com").register()
        tokens = caller.login()
    with Served(tmp_path, port=port) as second, second.ready().client() as client:
        assert second.out.count("(existing)") == 2
        caller.client = client
        assert caller.me(tokens).status_code == 200
        assert second.end(signal.SIGHUP) == 0


def test_json_has_the_same_facts_and_warns_of_listening_on_all_addresses(tmp_path):
    with Served(tmp_path, "--json", "--host", "0.0.0.0") as server:
        facts = json.loads(server.out)
        assert facts["url"] == facts["issuer"] == server.url
        assert facts["database_made"] is facts["secret_made"] is True
        assert facts["warnings"][0].startswith("Warning: passwords sent to 0.0.0.0:")
        # no worker serves yet: the signal must not be lost, or `interrupt` times out after PATIENCE
        assert server.interrupt() == 0


def test_after_sigterm_running_requests_finish(tmp_path):
    with Served(tmp_path, environ={"OSTIARY_HASHING_TIME": "30"}) as server, server.ready().client() as client:
        body = {"email": "ada@example.com", "password": PASSWORD}
        answers = []
        request = threading.Thread(target=lambda: answers.append(client.post("/auth/register", json=body)))
        request.start()
        time.sleep(0.25)
        assert not answers, "the request finished before the signal was sent"
        assert server.end(signal.SIGTERM) == 0
        request.join()
        assert answers[0].status_code == 202
        events = [json.loads(line)["event"] for line in server.err.splitlines()]
        assert events == ["server.started", "server.stopped"]


def test_workers_stop_when_the_parent_is_killed(tmp_path):
    with Served(tmp_path) as server:
        server.ready()
        server.end(signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while _listens(server.url):
            assert time.monotonic() < deadline, "a worker outlived its parent and kept the port"
            time.sleep(0.05)


def _listens(url):
    try:
        return bool(httpx.get(f"{url}/healthz"))
    except httpx.TransportError:
        return False
