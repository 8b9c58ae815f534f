"""`ostiary migrate`, and how `serve` refuses a PostgreSQL database with pending migrations."""

import json
import secrets

from tests.cli.program import PASSWORD, Caller, Served, call, free_port, run


def test_migrating_sqlite_creates_the_secret_and_brings_the_database_up_to_date(tmp_path):
    first = run("migrate", folder=tmp_path)
    assert first.returncode == 0
    assert "applied accounts" in first.stdout
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ostiary.db", "ostiary.db.secret"]
    assert json.loads(call("migrate", "--json", folder=tmp_path).stdout) == {"applied": []}
    assert call("keys", "list", folder=tmp_path).returncode == 0


def test_postgres_must_be_migrated_before_it_serves(tmp_path, postgres_url):
    environ = {"OSTIARY_DATABASE": postgres_url, "OSTIARY_SECRET": secrets.token_urlsafe(32)}
    refused = run("serve", "--port", free_port(), folder=tmp_path, environ=environ)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.endswith("run ostiary migrate\n")
    sick = call("doctor", folder=tmp_path, environ=environ)
    assert (sick.returncode, "run ostiary migrate" in sick.stdout) == (1, True)

    assert run("migrate", folder=tmp_path, environ=environ).returncode == 0
    healthy = call("doctor", folder=tmp_path, environ=environ)
    assert (healthy.returncode, "off the database clock" in healthy.stdout) == (0, True)
    made = call(
        "users", "create", "ada@example.com", "--password-stdin", folder=tmp_path, environ=environ, stdin=PASSWORD
    )
    assert made.returncode == 0, made.stderr
    with Served(tmp_path, environ=environ) as server, server.ready().client() as client:
        ada = Caller(client, "ada@example.com")
        assert ada.me(ada.login()).status_code == 200
        password = postgres_url.split(":")[2].split("@")[0]
        assert password not in server.out + server.err
    assert list(tmp_path.iterdir()) == []


def test_a_database_moves_to_a_new_issuer_only_when_told_to(tmp_path):
    """A mistyped issuer, or a development database behind another address, must not continue the sessions of the old
    one."""
    old, new = {"OSTIARY_ISSUER": "https://old.example.com"}, {"OSTIARY_ISSUER": "https://new.example.com"}
    assert call("users", "list", folder=tmp_path, environ=old).returncode == 2, "there is no database yet"
    assert call("migrate", folder=tmp_path).returncode == 0
    assert call("users", "list", folder=tmp_path, environ=old).returncode == 0
    refused = run("serve", "--port", free_port(), folder=tmp_path, environ=new)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "belongs to the issuer https://old.example.com" in refused.stderr
    assert "ostiary migrate --new-issuer" in refused.stderr
    assert call("keys", "list", folder=tmp_path).returncode == 0, "a command without an issuer looks at any database"
    for arguments, environ, problem in (
        (("--new-issuer", "--yes"), {}, "--new-issuer needs the new issuer: set OSTIARY_ISSUER"),
        (
            ("--new-issuer",),
            new,
            "from https://old.example.com to https://new.example.com and signs everybody out. This",
        ),
    ):
        refused = call("migrate", *arguments, folder=tmp_path, environ=environ)
        assert refused.returncode == 2
        assert problem in refused.stderr
    unchanged = call("migrate", "--new-issuer", folder=tmp_path, environ=old)
    assert "the issuer is https://old.example.com already; nothing has changed" in unchanged.stdout
    moved = call("migrate", "--new-issuer", "--yes", folder=tmp_path, environ=new)
    assert "the issuer is https://new.example.com; everybody is signed out" in moved.stdout
    assert call("users", "list", folder=tmp_path, environ=new).returncode == 0
    assert call("users", "list", folder=tmp_path, environ=old).returncode == 2
