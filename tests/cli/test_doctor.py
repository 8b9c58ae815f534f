"""`ostiary doctor` shows every setting and what is wrong with it, shows no secret, and changes nothing."""

import contextlib
import dataclasses
import json
import os
import secrets
import socket

import pytest

from ostiary.core.settings import Settings
from tests.cli.program import call, free_port, run


def doctor(folder, *arguments, environ=None):
    """The exit code, the settings by name, the checks by name."""
    done = call("doctor", "--json", *arguments, folder=folder, environ=environ)
    assert done.stderr == ""
    said = json.loads(done.stdout)
    assert said["healthy"] is (done.returncode == 0)
    return (
        done.returncode,
        {finding["name"]: finding for finding in said["settings"]},
        {check["name"]: check for check in said["checks"]},
    )


def test_a_new_folder_is_sound_and_stays_empty(tmp_path):
    code, settings, checks = doctor(tmp_path)
    assert code == 0
    assert list(settings) == [field.name for field in dataclasses.fields(Settings)]
    assert {finding["source"] for finding in settings.values()} == {"default"}
    assert "made at the first start" in checks["database"]["detail"]
    assert list(tmp_path.iterdir()) == []


def test_every_setting_says_where_it_came_from(tmp_path):
    (tmp_path / "ostiary.toml").write_text('access_lifetime = 600\nbody_limit = 2048\ntrusted_proxies = ["10.0.0.0/8"]')
    environ = {"OSTIARY_BODY_LIMIT": "4096", "OSTIARY_LIMIT_LOGIN": "7/hour"}
    arguments = ("--config", "ostiary.toml", "--database", "sqlite:///other.db")
    code, settings, _ = doctor(tmp_path, *arguments, environ=environ)
    assert code == 0
    said = {name: (finding["value"], finding["source"]) for name, finding in settings.items()}
    assert said["access_lifetime"] == ("600", "ostiary.toml")
    assert said["trusted_proxies"] == ("10.0.0.0/8", "ostiary.toml")
    assert said["body_limit"] == ("4096", "OSTIARY_BODY_LIMIT")
    assert said["limit_login"] == ("7/hour", "OSTIARY_LIMIT_LOGIN")
    assert said["database"] == ("sqlite:///other.db", "--database")
    assert said["argon2_time"] == ("2", "default")


def test_settings_of_sessions_and_revocation_are_shown_in_words(tmp_path):
    environ = {
        "OSTIARY_SESSION_LIMIT_POLICY": "refuse",
        "OSTIARY_RESOURCES": "https://orders.example.com https://stock.example.com",
        "OSTIARY_STATUS_LISTS": "off",
        "OSTIARY_FEED_POLICY": "serve",
    }
    code, settings, _ = doctor(tmp_path, environ=environ)
    assert code == 0
    assert {name.removeprefix("OSTIARY_").lower() for name in environ} <= settings.keys()
    assert settings["session_limit_policy"]["value"] == "refuse"
    assert settings["resources"]["value"] == "https://orders.example.com https://stock.example.com"
    assert settings["status_lists"]["value"] == "no"
    assert settings["feed_policy"]["value"] == "serve"
    assert (settings["session_idle"]["value"], settings["refresh_grace"]["value"]) == ("1209600", "10")


A_RESOURCE = "A resource is an https URL without user, query and fragment; http on loopback only."


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("session_idle", "1", "session_idle must be between 60 and 34560000, not 1"),
        ("session_limit", "0", "session_limit must be between 1 and 10000, not 0"),
        ("session_limit_policy", "oldest", "session_limit_policy must be end-oldest or refuse, not 'oldest'"),
        ("refresh_grace", "61", "refresh_grace must be between 0 and 60, not 61"),
        ("resources", "orders", f"resources: {A_RESOURCE} Not 'orders'"),
        ("status_lists", "some", "status_lists must be true or false"),
        ("feed_policy", "open", "feed_policy must be refuse or serve, not 'open'"),
    ],
)
def test_what_is_wrong_with_one_of_them_is_told_at_its_place(tmp_path, name, value, problem):
    code, settings, checks = doctor(tmp_path, environ={f"OSTIARY_{name.upper()}": value})
    assert (code, checks["settings"]["ok"]) == (1, False)
    assert {each: finding["problem"] for each, finding in settings.items() if finding["problem"]} == {name: problem}


def test_everything_wrong_is_shown_at_once(tmp_path):
    (tmp_path / "ostiary.toml").write_text('prefix = "no slash"\nisuer = "https://auth.example.com"')
    environ = {"OSTIARY_ACCESS_LIFETIME": "soon", "OSTIARY_ARGON2_MEMORY": "1", "OSTIARY_TYPO": "1"}
    code, settings, checks = doctor(tmp_path, "--config", "ostiary.toml", environ=environ)
    assert code == 1
    wrong = {name: finding["problem"] for name, finding in settings.items() if finding["problem"]}
    assert wrong.keys() == {"access_lifetime", "argon2_memory", "prefix", "isuer", "typo"}
    assert wrong["access_lifetime"] == "access_lifetime must be a whole number"
    assert wrong["typo"] == "there is no such setting"
    assert checks["settings"]["ok"] is False


def test_an_unknown_variable_alone_is_wrong(tmp_path):
    code, settings, checks = doctor(tmp_path, environ={"OSTIARY_ISUER": "https://auth.example.com"})
    assert code == 1
    assert (settings["isuer"]["source"], checks["settings"]["ok"]) == ("OSTIARY_ISUER", False)
    assert "did you mean OSTIARY_ISSUER?" in checks["settings"]["detail"]


def test_no_secret_is_shown(tmp_path):
    hidden = "unmistakable-in-any-output"
    environ = {
        "OSTIARY_SECRET": hidden,
        "OSTIARY_SMTP": f"smtp://user:{hidden}@127.0.0.1:{free_port()}",
        "OSTIARY_HOT": f"valkey://:{hidden}@127.0.0.1:{free_port()}/0",
        "OSTIARY_DATABASE": f"postgresql://user:{hidden}@127.0.0.1:{free_port()}/auth?password={hidden}",
        "OSTIARY_SECRETS": hidden,
    }
    # with a mistake in another setting each is shown as it was given: what hides it then is another place
    for mistake in ({}, {"OSTIARY_ACCESS_LIFETIME": "soon"}):
        for arguments in ((), ("--json",)):
            done = call("doctor", *arguments, folder=tmp_path, environ=environ | mistake)
            assert done.returncode == 1
            assert hidden not in done.stdout + done.stderr
            assert "OSTIARY_SECRET" in done.stdout


def test_what_the_settings_name_is_tried(tmp_path):
    assert call("migrate", folder=tmp_path).returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as mail:
        smtp = f"smtp://127.0.0.1:{mail.getsockname()[1]}"
        code, _, checks = doctor(tmp_path, environ={"OSTIARY_SMTP": smtp})
    assert code == 0
    assert {name: check["ok"] for name, check in checks.items()} == dict.fromkeys(
        ("settings", "secret", "database", "migrations", "clock", "mail"), True
    )
    (tmp_path / "ostiary.db.secret").chmod(0o644)
    code, _, checks = doctor(tmp_path, environ={"OSTIARY_SMTP": smtp})
    assert code == 1
    assert "can be read by others" in checks["secret"]["detail"]
    assert "Connection refused" in checks["mail"]["detail"]


def test_another_secret_than_the_databases_is_wrong(tmp_path):
    """It is sound by itself, and `serve` refuses it."""
    assert call("keys", "list", folder=made(tmp_path)).returncode == 0
    code, _, checks = doctor(tmp_path)
    assert (code, checks["keys"]["ok"]) == (0, True)
    code, _, checks = doctor(tmp_path, environ={"OSTIARY_SECRET": secrets.token_urlsafe(32)})
    assert (code, checks["secret"]["ok"], checks["keys"]["ok"]) == (1, True, False)
    assert "sealed with another secret" in checks["keys"]["detail"]


@pytest.mark.parametrize("existing", [False, True])
def test_a_folder_that_cannot_be_written_is_wrong(tmp_path, existing):
    if existing:
        made(tmp_path)
    tmp_path.chmod(0o555)
    with as_nobody():
        code, _, checks = doctor(tmp_path)
    assert code == 1
    assert checks["database"] == {"name": "database", "ok": False, "detail": "the folder . cannot be written"}


def made(folder):
    assert call("migrate", folder=folder).returncode == 0
    return folder


@contextlib.contextmanager
def as_nobody():
    """No mode stops root: the real user, whom access(2) asks about, is another within."""
    root = os.getuid() == 0
    if root:
        os.setreuid(65534, -1)
    try:
        yield
    finally:
        if root:
            os.setreuid(0, -1)


def test_production_without_trusted_proxies_is_told_of(tmp_path):
    production = {
        "OSTIARY_PRODUCTION": "true",
        "OSTIARY_ISSUER": "https://auth.example.com",
        "OSTIARY_SECRET": "x2Yb7uXG0vq0O1Y5c7bZzq0J6m5wq1n8m3r9t4k2p6s",
        "OSTIARY_SMTP": f"smtp://127.0.0.1:{free_port()}",
    }
    _, _, checks = doctor(tmp_path, environ=production)
    assert checks["settings"]["ok"], checks["settings"]
    assert checks["proxies"] == {
        "name": "proxies",
        "ok": True,
        "detail": "no trusted_proxies: behind a proxy all callers count as one source for limits",
    }
    _, _, checks = doctor(tmp_path, environ=production | {"OSTIARY_TRUSTED_PROXIES": "10.0.0.0/8"})
    assert "proxies" not in checks


@pytest.mark.parametrize("url", ["mysql://127.0.0.1/auth", "sqlite:///nowhere/at/all.db", "postgresql://127.0.0.1:9/x"])
def test_a_database_that_is_not_there(tmp_path, url):
    code, _, checks = doctor(tmp_path, "--database", url)
    assert code == 1
    assert not all(check["ok"] for check in checks.values())


def test_people_read_a_table(tmp_path):
    done = run("doctor", folder=tmp_path, environ={"OSTIARY_ACCESS_LIFETIME": "1"})
    assert done.returncode == 1
    assert "access_lifetime must be between 10 and 86400, not 1" in done.stdout
    assert done.stdout.endswith("Something is wrong: see above.\n")
