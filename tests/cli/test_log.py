"""The application log: no value can forge a line (N4), and no secret is in it (P05)."""

import contextlib
import json
import logging
import logging.config
import os
import pty
import re
import socket
import sys

import pytest

from ostiary.cli.log import LONGEST, JsonLines, ReadableLines, configuration
from tests.cli.program import Caller, Served

FORGED = '{"time": "2026-01-01T00:00:00.000+00:00", "level": "info", "event": "forged"}'

HOSTILE = [
    f"x\r\n{FORGED}",
    f"x\n{FORGED}",
    f"x\u2028{FORGED}",
    f"x\u0085{FORGED}",
    "\x1b[2J\x1b[31mred",
    "\x9b31m",
    "\u202egnp.exe",
    'x", "event": "forged',
    "\udcff",
    "\x00",
]


def line(message, *arguments, extra=None, error=None, name="ostiary.test"):
    record = logging.getLogger(name).makeRecord(name, logging.INFO, "", 0, message, arguments, error, extra=extra)
    return JsonLines().format(record)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_stays_inside_its_line(value):
    written = line("refused %s", value, extra={"user_agent": value, "nested": {value: [value]}, "request_id": "r1"})
    assert written.isascii()
    assert written.isprintable()
    said = json.loads(written)
    assert said["event"] == f"refused {value}"
    assert (said["user_agent"], said["request_id"]) == (value, "r1")


def test_a_line_has_its_time_and_an_end():
    said = json.loads(line("x" * 10**6, extra={"path": "y" * 10**6}))
    assert len(said["event"]) == len(said["path"]) == LONGEST
    assert said["time"].endswith("+00:00")


def test_an_exception_is_written_without_its_words():
    try:
        raise ValueError("hunter2")
    except ValueError:
        written = line("it failed", error=sys.exc_info())
    assert "ValueError" in written
    assert "test_log.py" in written
    assert "hunter2" not in written


def test_what_asyncio_adds_of_a_future_is_left_out():
    message = "Task exception was never retrieved\nfuture: <Task exception=ValueError('hunter2')>"
    assert json.loads(line(message, name="asyncio"))["event"] == "Task exception was never retrieved"


def test_a_mistaken_format_is_a_line_all_the_same():
    assert json.loads(line("%d of %d", "one"))["event"] == "%d of %d"


def test_ours_from_info_and_others_from_warning_go_to_stderr(capsys):
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logging.config.dictConfig(configuration(level="INFO", readable=False))
        logging.getLogger("ostiary.web").info("ours")
        logging.getLogger("somebody").info("chatter")
        logging.getLogger("somebody").warning("theirs")
        said = capsys.readouterr()
    finally:
        root.handlers[:], root.level = before
        logging.getLogger("ostiary").setLevel(logging.NOTSET)
    assert said.out == ""
    assert [json.loads(each)["event"] for each in said.err.splitlines()] == ["ours", "theirs"]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_readable_line_cannot_be_forged_either(value):
    record = logging.getLogger("ostiary.web").makeRecord(
        "ostiary.web", logging.INFO, "", 0, "request.refused", (), None, extra={"user_agent": value, "status": 401}
    )
    written = ReadableLines().format(record)
    assert written.isascii()
    assert written.isprintable()
    assert re.match(r"\d\d:\d\d:\d\d INFO request\.refused ", written)
    assert "status=401" in written
    assert written.count(" event=") == 0


def test_a_readable_line_has_plain_words_as_they_are():
    record = logging.getLogger("ostiary.web").makeRecord(
        "ostiary.web", logging.WARNING, "", 0, "request.refused", (), None,
        extra={"reason": "token_expired", "detail": "exp: the token", "path": None, "n": 3, "by": {"a b": [1]}},
    )  # fmt: skip
    assert ReadableLines().format(record)[9:] == (
        r'WARNING request.refused reason=token_expired detail="exp: the token" n=3 by="{\"a b\": \"[1]\"}"'
    )


def test_at_a_terminal_the_server_writes_readable_lines_and_access_lines_if_asked(tmp_path):
    ours, theirs = pty.openpty()
    with Served(tmp_path, environ={"OSTIARY_WEB_ACCESS_LOG": "true"}, stderr=theirs) as served:
        os.close(theirs)
        with served.ready().client() as client:
            client.get("/auth/openapi.json")
            client.get("/auth/me", headers={"authorization": "Bearer junk"})
        assert served.end() == 0
        said = _all_of(ours).splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d [A-Z]+ [a-z_.]+ ", each + " ") and each.isprintable() for each in said), said
    served_line, refused_line = [each for each in said if "/openapi.json" in each or "/me" in each]
    assert re.search(
        r" INFO request\.served status=200 milliseconds=\d+ method=GET path=/openapi\.json source=127\.0\.0\.1 "
        r"request_id=[0-9a-f]+$",
        served_line,
    )
    assert re.search(
        r" INFO request\.refused status=401 code=invalid_token reason=malformed_token .*path=/me ", refused_line
    )


def _all_of(terminal):
    """Everything written to a terminal that nobody else has open any more."""
    read = b""
    with contextlib.suppress(OSError):  # Linux reports the end in this way
        while part := os.read(terminal, 65536):
            read += part
    os.close(terminal)
    return read.decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Served(tmp_path_factory.mktemp("log")) as served:
        yield served.ready()


def test_a_full_run_writes_no_secret_and_no_forged_line(server):
    with server.client() as client:
        caller = Caller(client, "ada@example.com").register()
        tokens = caller.refresh(caller.login())
        secrets = caller.secrets | _misuse(client, caller, tokens)
        request_id = client.get("/auth/me").headers["x-request-id"]
    for value in HOSTILE[:6]:
        _send_raw(server.port, value.encode(errors="surrogatepass"))
    assert server.end() == 0

    lines = server.err.splitlines()
    said = [json.loads(each) for each in lines]
    assert {each["event"] for each in said} >= {"server.started", "server.stopped"}
    assert "forged" not in {each["event"] for each in said}
    (refused,) = [each for each in said if each.get("request_id") == request_id]
    assert (refused["event"], refused["path"], refused["reason"]) == ("request.refused", "/me", "missing_credential")
    assert all(each.isascii() and each.isprintable() for each in lines)
    for secret in secrets:
        assert secret not in server.out + server.err


def _misuse(client, caller, tokens):
    """Secrets in every wrong place. Returns those that were made for it."""
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    typed = "typed-by-mistake-4711"
    for body in (
        {"email": caller.email, "password": typed},
        {"email": typed, "password": typed},
        {"email": caller.email, "password": typed, "pasword": typed},
        {"email": caller.email, "password": [typed]},
        {"email": f"x\r\n{FORGED}", "password": typed},
    ):
        client.post("/auth/login", json=body)
        client.post("/auth/register", json=body)
    client.post(
        "/auth/login",
        content=f'{{"email": "{caller.email}", "password": "{typed}',
        headers={"content-type": "application/json"},
    )
    client.post("/auth/login", data={"password": typed})
    client.get(f"/auth/me?access_token={tokens['access_token']}")
    client.get("/auth/me", headers={"authorization": f"Bearer {tokens['access_token']}x"})
    client.get("/auth/me", headers={"authorization": f"Bearer {typed}"})
    client.get(f"/auth/{tokens['access_token']}")
    client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"] + "x"})
    client.post("/auth/refresh", json={"refresh_token": typed})
    client.delete(f"/auth/sessions/{typed}", headers=bearer)
    client.delete(f"/auth/devices/{typed}", headers=bearer)
    enrolment = client.post("/auth/totp", headers=bearer, json={})
    assert enrolment.status_code == 200, enrolment.text
    spent = client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).json()
    client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    client.post("/auth/logout", json={"refresh_token": spent["refresh_token"]})
    return {typed, enrolment.json()["secret"], spent["access_token"], spent["refresh_token"]}


def _send_raw(port, value):
    """One request line and its headers as no well-behaved client would send them."""
    for request in (
        b"GET /auth/me?" + value + b" HTTP/1.1\r\nHost: x\r\nUser-Agent: " + value + b"\r\n\r\n",
        b"GET /auth/me HTTP/1.1\r\nHost: x\r\nUser-Agent: " + value + b"\r\nX-Request-Id: " + value + b"\r\n\r\n",
        b"GET /auth/%0d%0a%1b[2J HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + value + b"\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request)
            assert connection.recv(1000).startswith(b"HTTP/1.1 ")
