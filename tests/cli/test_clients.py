"""`ostiary clients …`: a service client gets a secret and uses it to call a running server over the network."""

import http.client
import json
import sqlite3
from base64 import b64encode
from contextlib import closing

import pytest

from tests.cli.program import Caller, Served, call, run

ORDERS = "https://orders.example.com"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clients")


@pytest.fixture(scope="module")
def server(folder):
    with Served(folder, environ={"OSTIARY_SIGN_IN_LIMIT": "1000/second"}) as served:
        yield served.ready()


@pytest.fixture
def made(tmp_path):
    """A folder with an installation."""
    assert call("migrate", folder=tmp_path).returncode == 0
    return tmp_path


def clients(folder, *arguments, code=0):
    """Runs a `clients` command and returns its JSON output, or the reason on stderr if it is refused."""
    done = call("clients", *arguments, "--json", folder=folder)
    assert done.returncode == code, done.stderr
    if code:
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        reason: str = json.loads(done.stderr)["error"]
        return reason
    assert done.stderr == ""
    return json.loads(done.stdout)


def post(server, path, body, **headers):
    """Sends exactly these bytes and headers, as curl does with ``--data``."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
        sent = {"content-type": "application/x-www-form-urlencoded", **headers}
        connection.request("POST", path, body, sent)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null"), dict(answer.headers)


def basic(client):
    both = b64encode(":".join((client["id"], client["secret"])).encode())
    return {"authorization": f"Basic {both.decode()}"}


def signed_in(server, email, **fields):
    with server.client() as http_client:
        caller = Caller(http_client, email).register()
        answer = http_client.post("/auth/login", json={"email": email, "password": caller.password, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_service_introspects_tokens_for_its_own_resource_only(folder, server):
    """End to end: an operator creates a client while the server runs. It authenticates by header and by body."""
    client = json.loads(run("clients", "create", "orders", "--resource", ORDERS, "--json", folder=folder).stdout)
    token = signed_in(server, "ada@example.com", resource=ORDERS)["access_token"]
    status, told, headers = post(server, "/auth/introspect", f"token={token}", **basic(client))
    assert (status, told["active"], told["aud"], headers["cache-control"]) == (200, True, ORDERS, "no-store")
    in_body = f"token={token}&token_type_hint=access_token&client_id={client['id']}&client_secret={client['secret']}"
    assert post(server, "/auth/introspect", in_body)[1] == told
    own = signed_in(server, "bob@example.com")["access_token"]
    assert post(server, "/auth/introspect", f"token={own}", **basic(client))[:2] == (200, {"active": False})


def test_o07_o21_a_running_server_refuses_invalid_introspection_requests(folder, server):
    client = clients(folder, "create", "stock", "--resource", "https://stock.example.com")
    refused = [
        (401, "invalid_client", "token=x", {}),
        (401, "invalid_client", "token=x", basic({**client, "secret": "x"})),
        (400, "invalid_request", "token=x&token=y", basic(client)),
        (400, "invalid_request", "token=%zz", basic(client)),
        (400, "invalid_request", "", basic(client)),
        (400, "invalid_request", f"token=x&client_id={client['id']}&client_secret={client['secret']}", basic(client)),
        (415, "invalid_request", "token=x", {**basic(client), "content-type": "text/plain"}),
    ]
    for status, error, body, headers in refused:
        answered, told, sent = post(server, "/auth/introspect", body, **headers)
        assert (answered, told["error"]) == (status, error)
        assert ("www-authenticate" in sent) is (status == 401)
    query = f"?client_id={client['id']}&client_secret={client['secret']}"
    assert post(server, f"/auth/introspect{query}", "token=x")[0] == 401


def test_rotating_a_secret_and_deleting_a_client_take_effect_at_once(folder, server):
    client = clients(folder, "create", "billing")
    ask = ("/auth/introspect", "token=x")
    assert post(server, *ask, **basic(client))[0] == 200
    renewed = clients(folder, "rotate", "billing")
    assert {**renewed, "secret": ""} == {**client, "secret": ""}
    assert post(server, *ask, **basic(client))[0] == 401
    assert post(server, *ask, **basic(renewed))[0] == 200
    assert clients(folder, "delete", client["id"]) == {"deleted": client["id"]}
    assert post(server, *ask, **basic(renewed))[0] == 401


def test_tokens_for_a_resource_are_refused_once_its_client_is_deleted(folder, server):
    clients(folder, "create", "reports", "--resource", "https://reports.example.com")
    wanted = {"resource": "https://reports.example.com"}
    tokens = signed_in(server, "cy@example.com", **wanted)
    clients(folder, "delete", "reports")
    with server.client() as http_client:
        answer = http_client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"], **wanted})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_target")


def test_the_secret_is_shown_only_once_and_not_stored(made):
    done = call("clients", "create", "orders", "--resource", ORDERS, folder=made)
    shown = dict(line.split(None, 1) for line in done.stdout.splitlines()[:4])
    assert (shown["name"], shown["resources"]) == ("orders", ORDERS)
    assert done.stdout.count(shown["secret"]) == 1
    assert "not shown again" in done.stdout
    for command in (("list",), ("list", "--json")):
        assert shown["secret"] not in call("clients", *command, folder=made).stdout
    with closing(sqlite3.connect(made / "ostiary.db")) as database:
        assert shown["secret"] not in "\n".join(map(str, database.iterdump()))


def test_the_list_is_sorted_by_name(made):
    assert clients(made, "list") == {"clients": []}
    for name, *resources in (("orders", ORDERS, "http://127.0.0.1:9000"), ("billing",)):
        clients(made, "create", name, *(part for each in resources for part in ("--resource", each)))
    listed = clients(made, "list")["clients"]
    assert [(each["name"], each["resources"]) for each in listed] == [
        ("billing", []),
        ("orders", ["http://127.0.0.1:9000", ORDERS]),
    ]
    assert all(
        each["created_at"].endswith("Z") and set(each) == {"name", "id", "resources", "created_at"} for each in listed
    )
    table = call("clients", "list", folder=made).stdout
    assert listed[0]["id"] in table
    assert ORDERS in table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "orders"), "there is already a client named 'orders'"),
        (("create", "new", "--resource", "ftp://x"), "'ftp://x': A resource must be an https URL"),
        (
            ("create", "new", "--resource", ORDERS, "--resource", "http://127.0.0.1:8000"),
            "'http://127.0.0.1:8000': The issuer",
        ),
        (("create", "a\x1b[31mb"), "A client name must have"),
        (("create", "client_x"), "must not start with client_"),
        (("rotate", "nobody"), "there is no client nobody"),
        (("delete", "\x1b[31m"), "there is no client"),
        (("delete", ""), "there is no client"),
    ],
)
def test_a_refused_command_prints_one_line_with_the_reason(made, arguments, words):
    clients(made, "create", "orders")
    before = clients(made, "list")
    reason = clients(made, *arguments, code=1)
    assert words in reason
    assert "\x1b" not in reason
    assert clients(made, "list") == before


def test_without_an_installation_the_command_is_refused_and_creates_none(tmp_path):
    assert "there is no database" in clients(tmp_path, "create", "orders", code=2)
    assert list(tmp_path.iterdir()) == []
