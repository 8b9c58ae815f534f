"""`ostiary users …`: an operator's changes take effect at once on a running server, and are recorded."""

import json
import os
import pwd
import sqlite3
import time
from contextlib import closing

import pytest

from ostiary.errors import Forbidden
from ostiary.jose import VerifyingKey
from ostiary.verifier import Principal, Requirement, Verifier
from tests.cli.program import PASSWORD, PATIENCE, Caller, Served, call, run

GUARD = Requirement(role="admin")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("users")


@pytest.fixture(scope="module")
def server(folder):
    with Served(folder, environ={"OSTIARY_SIGN_IN_LIMIT": "1000/second"}) as served:
        yield served.ready()


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        yield client


def users(folder, *arguments, stdin="", code=0):
    """Runs a `users` command and returns its JSON output, or its line on stderr if it is refused."""
    done = call("users", *arguments, "--json", folder=folder, stdin=stdin)
    assert done.returncode == code, done.stderr
    if code:
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        return done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def pass_as_admin(client, tokens):
    """Checks a request as another service does, which has only the public keys."""
    issuer = str(client.base_url).rstrip("/")
    keys = [VerifyingKey.from_jwk(key) for key in client.get("/.well-known/jwks.json").json()["keys"]]
    verifier = Verifier(keys=keys, issuer=issuer, audience=issuer)
    GUARD.check(Principal.of(verifier.verify(tokens["access_token"])), now=verifier.now())


def is_refused_soon(caller, tokens):
    """Waits until the server refuses the token, which it learns from the feed alone."""
    deadline = time.monotonic() + PATIENCE
    while caller.me(tokens).status_code != 401:
        assert time.monotonic() < deadline, "a revoked token is still accepted"
        time.sleep(0.01)
    return True


def test_a_created_admin_passes_a_check_for_admins(folder, client):
    arguments = ("create", "root@example.com", "--role", "admin", "--password-stdin", "--json")
    made = json.loads(run("users", *arguments, folder=folder, stdin=f"{PASSWORD}\n").stdout)
    assert made["roles"] == ["admin", "user"]
    assert "users:write" in made["permissions"]
    pass_as_admin(client, Caller(client, "root@example.com").login())
    with pytest.raises(Forbidden):
        pass_as_admin(client, Caller(client, "ada@example.com").register().login())


def test_adding_and_removing_roles_takes_effect_at_once(folder, client):
    caller = Caller(client, "bob@example.com").register()
    before = caller.login()
    assert users(folder, "roles", "bob@example.com", "+admin", "+moderator", "-user")["roles"] == ["admin", "moderator"]
    assert is_refused_soon(caller, before)
    pass_as_admin(client, caller.login())
    assert users(folder, "roles", "bob@example.com", "-admin", "-moderator")["roles"] == []


def test_a_disabled_account_cannot_sign_in_until_it_is_enabled(folder, client):
    caller = Caller(client, "cy@example.com").register()
    tokens = caller.login()
    assert users(folder, "disable", "cy@example.com")["disabled"] is True
    assert is_refused_soon(caller, tokens)
    body = {"email": caller.email, "password": caller.password}
    assert client.post("/auth/login", json=body).status_code == 401
    assert users(folder, "enable", "cy@example.com")["disabled"] is False
    caller.login()


def test_logout_ends_every_session(folder, client):
    caller = Caller(client, "di@example.com").register()
    sessions = [caller.login(), caller.login()]
    assert users(folder, "logout", "di@example.com") == {"email": "di@example.com", "ended_sessions": 2}
    for tokens in sessions:
        assert is_refused_soon(caller, tokens)
        refresh = client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        assert refresh.status_code == 401


def test_everybody_is_signed_out_at_once(folder, client):
    callers = [Caller(client, f"{name}@example.com").register() for name in ("fay", "gus")]
    everything = [caller.login() for caller in callers]
    assert users(folder, "logout", "--all") == {"everybody": True}
    for caller, tokens in zip(callers, everything, strict=True):
        assert is_refused_soon(caller, tokens)
        refresh = client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        assert (refresh.status_code, refresh.json()["code"]) == (401, "invalid_token")
        assert caller.me(caller.login()).status_code == 200
    assert call("users", "logout", "--all", folder=folder).stdout == "everybody is signed out\n"


def test_a_mistyped_logout_signs_nobody_out(folder, client):
    """If a script passes no address by mistake, the command must not sign everybody out."""
    caller = Caller(client, "hal@example.com").register()
    tokens = caller.login()
    for mistyped in ([], ["--all", "hal@example.com"], ["hal@example.com", "--all"], ["--al"], [""]):
        done = call("users", "logout", *mistyped, folder=folder)
        assert done.returncode != 0, mistyped
        assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    caller.refresh(tokens)  # a refresh reads the database, while the feed may be late


def test_a_list_continues_on_the_next_page(folder):
    everybody = users(folder, "list")
    assert everybody["next"] is None
    emails = [user["email"] for user in everybody["users"]]
    assert emails == sorted(emails)
    seen, after = [], ()
    while after is not None:
        page = users(folder, "list", "--limit", "2", *after)
        seen += [user["email"] for user in page["users"]]
        after = page["next"] and ("--after", page["next"])
    assert seen == emails


def test_without_json_it_prints_tables_and_lines(folder):
    listed = run("users", "list", folder=folder)
    assert [line.split()[0] for line in listed.stdout.splitlines()][:2] == ["email", "ada@example.com"]
    shown = run("users", "show", "root@example.com", folder=folder)
    assert "roles        admin user\n" in shown.stdout
    assert PASSWORD not in listed.stdout + shown.stdout
    assert "argon2" not in listed.stdout + shown.stdout


def test_a_refusal_prints_one_line(folder):
    assert "there is no account no@example.com" in users(folder, "show", "no@example.com", code=1)
    assert "there is no role king. The roles are admin, moderator, user." in users(
        folder, "roles", "ada@example.com", "+king", code=1
    )
    assert "'nobody': The e-mail address is not valid" in users(folder, "disable", "nobody", code=1)
    assert "last active admin" in users(folder, "roles", "root@example.com", "-admin", code=1)
    assert "has an account already" in users(
        folder, "create", "ADA@example.com", "--password-stdin", stdin=PASSWORD, code=1
    )
    assert "there is no role king" in users(
        folder, "create", "new@example.com", "--role", "king", "--password-stdin", stdin=PASSWORD, code=1
    )


def test_a_weak_password_is_refused_with_reasons(folder):
    line = users(folder, "create", "eve@example.com", "--password-stdin", stdin="eve@example.com\n", code=1)
    assert "the password is refused: This password would be guessed quickly." in line
    assert "at least 8" in users(folder, "create", "eve@example.com", "--password-stdin", stdin="short", code=1)


def test_every_change_is_recorded_as_the_operators(folder):
    name = pwd.getpwuid(os.getuid()).pw_name
    with closing(sqlite3.connect(folder / "ostiary.db")) as database:
        found = database.execute("select type from audit_events where actor_kind = 'operator' and actor_id = ?", [name])
        recorded = [row[0] for row in found]
    assert set(recorded) == {
        "accounts.created",
        "accounts.roles_changed",
        "accounts.disabled",
        "accounts.enabled",
        "sessions.ended_all",
        "sessions.ended_everybodys",
    }


def test_a_missing_database_is_refused_and_not_created(tmp_path):
    for arguments in (
        ["list"],
        ["show", "ada@example.com"],
        ["roles", "ada@example.com", "+admin"],
        ["create", "ada@example.com", "--role", "admin", "--password-stdin"],
    ):
        assert "there is no database ostiary.db" in users(tmp_path, *arguments, code=2)
    assert list(tmp_path.iterdir()) == []
