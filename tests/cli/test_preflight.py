"""`serve` refuses to start if something cannot work: one line on stderr, exit code 2, no output, no file written."""

import secrets

import pytest

from tests.cli.program import call, free_port, run

SECRET = secrets.token_urlsafe(32)


def refused(folder, *arguments, environ=None):
    """Runs a `serve` that must be refused, and returns its line on stderr."""
    before = contents(folder)
    done = run("serve", "--port", free_port(), *arguments, folder=folder, environ=environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert contents(folder) == before
    assert done.stderr.startswith("ostiary: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def contents(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def test_a_folder_that_is_not_writable(tmp_path):
    (tmp_path / "file").touch()
    # below a file and in /proc, where even root cannot write; file modes do not restrict root
    assert "Not a directory" in refused(tmp_path, "--database", "sqlite:///file/ostiary.db")
    assert "No such file" in refused(tmp_path, "--database", "sqlite:////proc/ostiary.db")
    assert "/proc/ostiary.db" in refused(
        tmp_path, "--database", "sqlite:////proc/ostiary.db", environ={"OSTIARY_SECRET": SECRET}
    )


@pytest.mark.parametrize("weak", ["abcdefgh", "a" * 64, "change-me-change-me-change-me-change-me-12345678"])
def test_a_weak_secret(tmp_path, weak):
    line = refused(tmp_path, environ={"OSTIARY_SECRET": weak})
    assert "OSTIARY_SECRET" in line
    assert weak not in line


def test_a_database_without_its_secret(tmp_path):
    assert call("migrate", folder=tmp_path).returncode == 0
    (tmp_path / "ostiary.db.secret").unlink()
    assert "ostiary.db exists but its secret ostiary.db.secret does not" in refused(tmp_path)


def test_a_database_with_the_secret_of_another(tmp_path):
    assert call("migrate", folder=tmp_path).returncode == 0
    assert call("keys", "list", folder=tmp_path).returncode == 0
    assert "sealed with another secret" in refused(tmp_path, environ={"OSTIARY_SECRET": SECRET})


def test_a_secret_that_others_can_read(tmp_path):
    assert call("migrate", folder=tmp_path).returncode == 0
    (tmp_path / "ostiary.db.secret").chmod(0o640)
    assert "can be read by others: chmod 600" in refused(tmp_path)


def test_a_file_that_is_not_a_database(tmp_path):
    (tmp_path / "ostiary.db").write_text("not a database, but long enough to be looked at " * 40)
    line = refused(tmp_path, environ={"OSTIARY_SECRET": SECRET})
    assert "it is not an SQLite database" in line


def test_an_unreachable_database_server(tmp_path):
    url = f"postgresql://somebody:unmistakable@127.0.0.1:{free_port()}/auth"
    line = refused(tmp_path, "--database", url, environ={"OSTIARY_SECRET": SECRET})
    assert "unmistakable" not in line


def test_a_database_server_without_a_secret(tmp_path):
    url = f"postgresql://somebody@127.0.0.1:{free_port()}/auth"
    assert "OSTIARY_SECRET is needed" in refused(tmp_path, "--database", url)


def test_production_without_issuer_or_secret(tmp_path):
    assert "issuer must be set in production" in refused(tmp_path, "--production")
    settings = {"OSTIARY_ISSUER": "https://auth.example.com", "OSTIARY_MAIL_SMTP": "smtps://mail.example.com"}
    assert "secret must be set in production" in refused(tmp_path, "--production", environ=settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('isuer = "https://auth.example.com"', "ostiary.toml: there is no setting 'isuer'; did you mean issuer?"),
        ("issuer = ", "ostiary.toml: "),
        ("[web]\nbody_limit = 1", "ostiary.toml: web.body_limit must be between"),
        ('[tokens]\naccess_lifetime = "soon"', "tokens.access_lifetime must be a whole number"),
    ],
)
def test_a_toml_file_with_a_mistake(tmp_path, text, said):
    (tmp_path / "ostiary.toml").write_text(text)
    assert said in refused(tmp_path, "--config", "ostiary.toml")


def test_a_missing_toml_file(tmp_path):
    assert "No such file" in refused(tmp_path, "--config", "ostiary.toml")


def test_an_address_of_another_machine_or_a_host_name(tmp_path):
    assert "cannot listen on 192.0.2.1:" in refused(tmp_path, "--host", "192.0.2.1")
    assert "--host must be an IP address" in refused(tmp_path, "--host", "auth.example.com")
