"""`ostiary restored`: after a restore, no session, token or key from the backup is accepted."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.cli.program import Caller, Served, call, free_port, run

DATABASE = "ostiary.db"


def back_up(folder):
    """Copies the database while it is in use, as the sqlite3 program does."""
    with closing(sqlite3.connect(folder / DATABASE)) as live, closing(sqlite3.connect(folder / "backup.db")) as copy:
        live.backup(copy)


def put_back(folder):
    """Restores the database file alone: the WAL files belong to a later state."""
    for name in ("-wal", "-shm"):
        (folder / f"{DATABASE}{name}").unlink(missing_ok=True)
    shutil.copyfile(folder / "backup.db", folder / DATABASE)


def told(folder, *arguments):
    done = call(*arguments, "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def states(folder):
    """Maps each kid to its state."""
    return {key["kid"]: key["state"] for key in told(folder, "keys", "list")["keys"]}


@pytest.fixture(scope="module")
def restored(tmp_path_factory):
    """A restored installation: its folder, its port, a caller from before the backup, that caller's tokens from before
    and after the backup, and the keys that were revoked after it."""
    folder, port = tmp_path_factory.mktemp("restored"), free_port()
    with Served(folder, port=port) as server, server.ready().client() as client:
        caller = Caller(client, "ada@example.com").register()
        signed_out = caller.login()
        assert call("keys", "rotate", folder=folder).returncode == 0
        back_up(folder)
        of_the_backup = states(folder)
        lost = [caller.login()]
        for kid in of_the_backup:
            assert call("keys", "revoke", kid, folder=folder).returncode == 0
        assert told(folder, "users", "logout", "ada@example.com")["ended_sessions"] == 2
        lost.append(caller.login())
        Caller(client, "bob@example.com").register()
    put_back(folder)
    assert sorted(states(folder).values()) == ["current", "next"], "the restore brings the revoked keys back"
    return folder, port, caller, [signed_out, *lost], of_the_backup


def test_all_tokens_are_refused_and_a_revoked_key_is_not_published(restored):
    folder, port, caller, everything, revoked = restored
    done = told(folder, "restored")
    assert set(done["revoked"]) == set(revoked)
    assert done["forgotten_registrations"] == 0
    assert states(folder) == {done["successor"]: "current", **dict.fromkeys(revoked, "revoked")}
    with Served(folder, port=port) as server, server.ready().client() as client:
        caller.client = client
        published = client.get("/.well-known/jwks.json").json()["keys"]
        assert [key["kid"] for key in published] == [done["successor"]]
        for tokens in everything:
            assert caller.me(tokens).status_code == 401
            refresh = client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
            assert (refresh.status_code, refresh.json()["code"]) == (401, "invalid_token")
        assert caller.me(caller.login()).status_code == 200
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        recorded = {row[0] for row in database.execute("select type from audit_events where actor_kind = 'operator'")}
        assert {"installation.restored", "keys.all_revoked"} <= recorded
        assert database.execute("select count(*) from audit_events where type like 'tokens.%'").fetchone() == (0,)


def test_without_json_it_prints_a_few_lines_and_warns_of_lost_changes(tmp_path):
    assert call("migrate", folder=tmp_path).returncode == 0
    current = told(tmp_path, "keys", "jwks")["keys"][0]["kid"]
    done = run("restored", folder=tmp_path)
    (successor,) = [kid for kid, state in states(tmp_path).items() if state == "current"]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "everybody is signed out, and all access tokens are refused",
        f"revoked {current}",
        f"{successor} signs from now on",
        "0 pending registrations deleted",
        "Changes made after the backup are lost and cannot be restored. See docs/operations.md.",
    ]


def test_without_a_database_the_command_is_refused_and_creates_none(tmp_path):
    done = call("restored", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ostiary: there is no database ostiary.db")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_backup_of_an_older_version_is_refused_until_it_is_migrated(tmp_path):
    """Otherwise the command would migrate it implicitly, even if the operator restored the wrong file."""
    assert call("migrate", folder=tmp_path).returncode == 0
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database, database:
        database.execute("delete from store_migration where slice = 'store' and number = 2")
        database.execute("drop table store_lease")
    done = call("restored", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "ostiary: the database is not migrated (1 pending): run ostiary migrate first\n"
    assert told(tmp_path, "migrate") == {"applied": ["store/0002_lease.sql"]}
    assert call("restored", folder=tmp_path).returncode == 0


def test_without_the_secret_of_the_backup_it_prints_one_line(tmp_path):
    assert call("migrate", folder=tmp_path).returncode == 0
    assert call("keys", "list", folder=tmp_path).returncode == 0
    (tmp_path / f"{DATABASE}.secret").unlink()
    done = call("restored", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
