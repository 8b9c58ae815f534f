"""`ostiary doctor` shows every setting and its problem, shows no secret, and changes nothing."""

import asyncio
import contextlib
import json
import os
import secrets
import sqlite3

import pytest

from ostiary.app.slices import enabled, stated
from ostiary.core.settings import Settings
from tests.cli.program import call, free_port, run
from tests.core.mail.sink import sink


def doctor(folder, *arguments, environ=None):
    """Returns the exit code, the settings by name and the checks by name."""
    done = call("doctor", "--json", *arguments, folder=folder, environ=environ)
    assert done.stderr == ""
    said = json.loads(done.stdout)
    assert said["healthy"] is (done.returncode == 0)
    return (
        done.returncode,
        {finding["name"]: finding for finding in said["settings"]},
        {check["name"]: check for check in said["checks"]},
    )


def test_a_new_folder_is_healthy_and_stays_empty(tmp_path):
    code, settings, checks = doctor(tmp_path)
    assert code == 0
    assert list(settings) == [each.name for section in (Settings, *stated(enabled())) for each in section.settings()]
    assert {finding["source"] for finding in settings.values()} == {"default"}
    assert "will be created at the first start" in checks["database"]["detail"]
    assert list(tmp_path.iterdir()) == []


PRODUCTION = {
    "OSTIARY_PRODUCTION": "true",
    "OSTIARY_ISSUER": "https://auth.example.com",
    "OSTIARY_SECRET": secrets.token_urlsafe(32),
    "OSTIARY_WEB_TRUSTED_PROXIES": "10.0.0.5",
}


async def test_the_summary_counts_a_default_sender_in_production_as_a_warning(tmp_path):
    async with sink() as server:
        environ = {**PRODUCTION, "OSTIARY_MAIL_SMTP": server.url}
        _, _, checks = await asyncio.to_thread(doctor, tmp_path, environ=environ)
        assert checks["mail"]["ok"]
        assert checks["mail"]["warning"]
        assert "Set mail.sender" in checks["mail"]["detail"]
        said = await asyncio.to_thread(call, "doctor", folder=tmp_path, environ=environ)
        assert said.stdout.rstrip().endswith("No problems found, 1 warning.")
        environ["OSTIARY_MAIL_SENDER"] = "no-reply@auth.example.com"
        said = await asyncio.to_thread(call, "doctor", folder=tmp_path, environ=environ)
        assert said.stdout.rstrip().endswith("No problems found.")


def test_every_setting_shows_its_source(tmp_path):
    (tmp_path / "ostiary.toml").write_text(
        '[tokens]\naccess_lifetime = 600\n[web]\nbody_limit = 2048\ntrusted_proxies = ["10.0.0.0/8"]'
    )
    (tmp_path / "smtp").write_text("smtp://127.0.0.1:1\n")
    environ = {
        "OSTIARY_WEB_BODY_LIMIT": "4096",
        "OSTIARY_SIGN_IN_LIMIT": "7/hour",
        "OSTIARY_MAIL_SMTP_FILE": "smtp",
        "OSTIARY_PORT": "tcp://10.0.0.1:8000",
    }
    _, settings, checks = doctor(tmp_path, "--database", "sqlite:///other.db", environ=environ)
    assert checks["settings"]["ok"], checks["settings"]
    assert {finding["problem"] for finding in settings.values()} == {None}
    said = {name: (finding["value"], finding["source"]) for name, finding in settings.items()}
    assert said["tokens.access_lifetime"] == ("600", "ostiary.toml")
    assert said["web.trusted_proxies"] == ("10.0.0.0/8", "ostiary.toml")
    assert said["web.body_limit"] == ("4096", "OSTIARY_WEB_BODY_LIMIT")
    assert said["sign_in.limit"] == ("7/hour", "OSTIARY_SIGN_IN_LIMIT")
    assert said["database"] == ("sqlite:///other.db", "--database")
    assert said["hashing.time"] == ("2", "default")
    assert said["mail.smtp"] == ("hidden", "OSTIARY_MAIL_SMTP_FILE")


def test_settings_of_sessions_and_revocation_are_shown_as_text(tmp_path):
    environ = {
        "OSTIARY_SESSIONS_LIMIT_POLICY": "refuse",
        "OSTIARY_TOKENS_RESOURCES": "https://orders.example.com https://stock.example.com",
        "OSTIARY_TOKENS_STATUS_LISTS": "off",
        "OSTIARY_REVOCATIONS_POLICY": "serve",
    }
    code, settings, _ = doctor(tmp_path, environ=environ)
    assert code == 0
    said = {finding["source"]: (name, finding["value"]) for name, finding in settings.items()}
    assert {variable: said[variable] for variable in environ} == {
        "OSTIARY_SESSIONS_LIMIT_POLICY": ("sessions.limit_policy", "refuse"),
        "OSTIARY_TOKENS_RESOURCES": ("tokens.resources", "https://orders.example.com https://stock.example.com"),
        "OSTIARY_TOKENS_STATUS_LISTS": ("tokens.status_lists", "false"),
        "OSTIARY_REVOCATIONS_POLICY": ("revocations.policy", "serve"),
    }
    assert (settings["sessions.idle"]["value"], settings["tokens.refresh_grace"]["value"]) == ("1209600", "10")


A_RESOURCE = "A resource must be an https URL without user, query and fragment. http is allowed on loopback only."


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("sessions.idle", "1", "must be between 60 and 34560000, not 1"),
        ("sessions.limit", "0", "must be between 1 and 10000, not 0"),
        ("sessions.limit_policy", "oldest", "must be end-oldest or refuse, not 'oldest'"),
        ("tokens.refresh_grace", "61", "must be between 0 and 60, not 61"),
        ("tokens.resources", "orders", f"must hold valid resources, not 'orders'. {A_RESOURCE}"),
        ("tokens.status_lists", "some", "must be true or false"),
        ("issuer", "http://192.168.1.5:8000", "must be https, except on the loopback interface"),
        ("revocations.policy", "open", "must be refuse or serve, not 'open'"),
    ],
)
def test_an_invalid_value_is_reported_at_its_setting(tmp_path, name, value, problem):
    variable = f"OSTIARY_{name.replace('.', '_').upper()}"
    code, settings, checks = doctor(tmp_path, environ={variable: value})
    assert (code, checks["settings"]["ok"]) == (1, False)
    told = {each: finding["problem"] for each, finding in settings.items() if finding["problem"]}
    assert told == {name: f"{name} {problem}"}
    assert checks["settings"]["detail"] == f"{variable}: {name} {problem}"


def test_all_problems_are_shown_at_once(tmp_path):
    (tmp_path / "ostiary.toml").write_text('prefix = "no slash"\nisuer = "https://auth.example.com"')
    environ = {"OSTIARY_TOKENS_ACCESS_LIFETIME": "soon", "OSTIARY_HASHING_MEMORY": "1", "OSTIARY_TYPO": "1"}
    code, settings, checks = doctor(tmp_path, "--config", "ostiary.toml", environ=environ)
    assert code == 1
    wrong = {name: finding["problem"] for name, finding in settings.items() if finding["problem"]}
    assert wrong.keys() == {"tokens.access_lifetime", "hashing.memory", "prefix", "isuer", "OSTIARY_TYPO"}
    assert wrong["tokens.access_lifetime"] == "tokens.access_lifetime must be a whole number"
    assert wrong["isuer"] == "there is no setting 'isuer'; did you mean issuer?"
    assert wrong["OSTIARY_TYPO"] == "there is no such setting"
    assert checks["settings"]["ok"] is False


def test_an_unknown_variable_alone_is_a_problem(tmp_path):
    code, settings, checks = doctor(tmp_path, environ={"OSTIARY_ISUER": "https://auth.example.com"})
    assert code == 1
    assert (settings["OSTIARY_ISUER"]["source"], checks["settings"]["ok"]) == ("OSTIARY_ISUER", False)
    assert "did you mean OSTIARY_ISSUER?" in checks["settings"]["detail"]


def test_no_secret_is_shown(tmp_path):
    hidden = "unmistakable-in-any-output"
    environ = {
        "OSTIARY_SECRET": hidden,
        "OSTIARY_MAIL_SMTP": f"smtp://user:{hidden}@127.0.0.1:{free_port()}",
        "OSTIARY_HOT": f"valkey://:{hidden}@127.0.0.1:{free_port()}/0",
        "OSTIARY_DATABASE": f"postgresql://user:{hidden}@127.0.0.1:{free_port()}/auth?password={hidden}",
        "OSTIARY_SECRETS": hidden,
    }
    # a mistake in another setting shows each value as it was given, and a different place in the code hides it
    for mistake in ({}, {"OSTIARY_TOKENS_ACCESS_LIFETIME": "soon"}):
        for arguments in ((), ("--json",)):
            done = call("doctor", *arguments, folder=tmp_path, environ=environ | mistake)
            assert done.returncode == 1
            assert hidden not in done.stdout + done.stderr
            assert "OSTIARY_SECRET" in done.stdout


async def test_the_files_and_servers_in_the_settings_are_checked(tmp_path):
    await asyncio.to_thread(made, tmp_path)
    async with sink() as mail:
        smtp = mail.url
        code, _, checks = await asyncio.to_thread(doctor, tmp_path, environ={"OSTIARY_MAIL_SMTP": smtp})
        assert mail.envelopes == []
    assert code == 0
    assert {name: check["ok"] for name, check in checks.items()} == dict.fromkeys(
        ("settings", "secret", "database", "migrations", "clock", "mail"), True
    )
    (tmp_path / "ostiary.db.secret").chmod(0o644)
    code, _, checks = await asyncio.to_thread(doctor, tmp_path, environ={"OSTIARY_MAIL_SMTP": smtp})
    assert code == 1
    assert checks["mail"]["detail"].endswith(": Connection refused")
    assert "can be read by others" in checks["secret"]["detail"]


def test_a_secret_that_did_not_seal_the_keys_is_a_problem(tmp_path):
    """The secret itself is valid, but `serve` refuses to start with it."""
    assert call("keys", "list", folder=made(tmp_path)).returncode == 0
    code, _, checks = doctor(tmp_path)
    assert (code, checks["keys"]["ok"]) == (0, True)
    code, _, checks = doctor(tmp_path, environ={"OSTIARY_SECRET": secrets.token_urlsafe(32)})
    assert (code, checks["secret"]["ok"], checks["keys"]["ok"]) == (1, True, False)
    assert "sealed with another secret" in checks["keys"]["detail"]


@pytest.mark.parametrize("existing", [False, True])
def test_a_folder_that_is_not_writable_is_a_problem(tmp_path, existing):
    if existing:
        made(tmp_path)
    tmp_path.chmod(0o555)
    with as_nobody():
        code, _, checks = doctor(tmp_path)
    assert code == 1
    assert checks["database"]["ok"] is False
    assert checks["database"]["detail"] == "the folder . is not writable"


def made(folder):
    assert call("migrate", folder=folder).returncode == 0
    return folder


@contextlib.contextmanager
def as_nobody():
    """Changes the real user, which access(2) checks: file modes do not restrict root."""
    root = os.getuid() == 0
    if root:
        os.setreuid(65534, -1)
    try:
        yield
    finally:
        if root:
            os.setreuid(0, -1)


def test_production_without_trusted_proxies_is_mentioned(tmp_path):
    production = {
        "OSTIARY_PRODUCTION": "true",
        "OSTIARY_ISSUER": "https://auth.example.com",
        "OSTIARY_SECRET": "x2Yb7uXG0vq0O1Y5c7bZzq0J6m5wq1n8m3r9t4k2p6s",
        "OSTIARY_MAIL_SMTP": f"smtp://127.0.0.1:{free_port()}",
    }
    _, _, checks = doctor(tmp_path, environ=production)
    assert checks["settings"]["ok"], checks["settings"]
    assert checks["proxies"] == {
        "name": "proxies",
        "ok": True,
        "detail": "web.trusted_proxies is empty: behind a proxy, all callers share the same rate limits",
        "warning": True,
    }
    _, _, checks = doctor(tmp_path, environ=production | {"OSTIARY_WEB_TRUSTED_PROXIES": "10.0.0.0/8"})
    assert "proxies" not in checks


def test_an_origin_over_http_on_the_network_is_mentioned(tmp_path):
    _, _, checks = doctor(
        tmp_path, environ={"OSTIARY_WEB_TRUSTED_ORIGINS": "http://192.168.1.5:3000 https://a.example"}
    )
    assert checks["origins"] == {
        "name": "origins",
        "ok": True,
        "detail": "http://192.168.1.5:3000 in web.trusted_origins uses http: anyone on the network can read its tokens",
        "warning": True,
    }
    _, _, checks = doctor(tmp_path, environ={"OSTIARY_WEB_TRUSTED_ORIGINS": "http://localhost:3000"})
    assert "origins" not in checks


@pytest.mark.parametrize("url", ["mysql://127.0.0.1/auth", "sqlite:///nowhere/at/all.db", "postgresql://127.0.0.1:9/x"])
def test_a_missing_or_unsupported_database_is_a_problem(tmp_path, url):
    code, _, checks = doctor(tmp_path, "--database", url)
    assert code == 1
    assert not all(check["ok"] for check in checks.values())


def test_without_json_it_prints_a_table(tmp_path):
    done = run("doctor", folder=tmp_path, environ={"OSTIARY_TOKENS_ACCESS_LIFETIME": "1"})
    assert done.returncode == 1
    assert "tokens.access_lifetime must be between 10 and 86400, not 1" in done.stdout
    assert done.stdout.endswith("There are problems. See above.\n")


def test_a_write_ahead_log_that_only_grows_is_a_problem(tmp_path):
    """A program that keeps a transaction open prevents SQLite from starting the log again, until the disk is full."""
    run("migrate", folder=tmp_path)
    reader = sqlite3.connect(tmp_path / "ostiary.db", isolation_level=None)
    with contextlib.closing(reader), contextlib.closing(sqlite3.connect(tmp_path / "ostiary.db")) as writer:
        reader.execute("begin")
        reader.execute("select count(*) from accounts").fetchall()
        writer.execute("create table padding (words blob)")
        writer.commit()
        code, _, checks = doctor(tmp_path)
        assert (code, checks["write-ahead log"]["ok"]) == (0, True)
        writer.execute("insert into padding values (zeroblob(34000000))")
        writer.commit()
        code, _, checks = doctor(tmp_path)
        assert (code, checks["write-ahead log"]["ok"]) == (1, False)
        assert "MB" in checks["write-ahead log"]["detail"]


UNSAFE = {
    "no mail server": ({"OSTIARY_MAIL_SMTP": ""}, "mail.smtp must be set in production"),
    "no mail server and no verification": (
        {"OSTIARY_MAIL_SMTP": "", "OSTIARY_REGISTRATION_REQUIRE_VERIFIED_EMAIL": "false"},
        "mail.smtp must be set in production",
    ),
    "every IPv4 address is a proxy": ({"OSTIARY_WEB_TRUSTED_PROXIES": "0.0.0.0/0"}, "must name your proxies"),
    "every IPv6 address is a proxy": ({"OSTIARY_WEB_TRUSTED_PROXIES": "::/0"}, "must name your proxies"),
    "both halves are proxies": ({"OSTIARY_WEB_TRUSTED_PROXIES": "0.0.0.0/1 128.0.0.0/1"}, "must name your proxies"),
    "every public IPv6 address": ({"OSTIARY_WEB_TRUSTED_PROXIES": "10.0.0.0/8 2000::/3"}, "must name your proxies"),
    "http on a LAN": ({"OSTIARY_ISSUER": "http://192.168.1.5:8000"}, "must be https, except on the loopback interface"),
}


@pytest.mark.parametrize(("environ", "problem"), UNSAFE.values(), ids=UNSAFE)
def test_what_is_unsafe_in_production_is_refused_by_doctor_and_serve(tmp_path, environ, problem):
    safe = {
        "OSTIARY_ISSUER": "https://auth.example.com",
        "OSTIARY_SECRET": "x2Yb7uXG0vq0O1Y5c7bZzq0J6m5wq1n8m3r9t4k2p6s",
        "OSTIARY_MAIL_SMTP": f"smtp://127.0.0.1:{free_port()}",
    }
    code, _, checks = doctor(tmp_path, environ=safe | environ | {"OSTIARY_PRODUCTION": "true"})
    assert (code, checks["settings"]["ok"]) == (1, False)
    assert problem in checks["settings"]["detail"]
    done = call("serve", "--production", folder=tmp_path, environ=safe | environ)
    assert done.returncode == 2
    assert problem in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_production_without_verified_addresses_is_a_warning(tmp_path):
    environ = {
        "OSTIARY_PRODUCTION": "true",
        "OSTIARY_ISSUER": "https://auth.example.com",
        "OSTIARY_SECRET": "x2Yb7uXG0vq0O1Y5c7bZzq0J6m5wq1n8m3r9t4k2p6s",
        "OSTIARY_MAIL_SMTP": f"smtp://127.0.0.1:{free_port()}",
        "OSTIARY_REGISTRATION_REQUIRE_VERIFIED_EMAIL": "false",
        "OSTIARY_WEB_TRUSTED_PROXIES": "10.0.0.0/8 fc00::/7",
    }
    _, _, checks = doctor(tmp_path, environ=environ)
    assert (checks["registration"]["ok"], checks["registration"]["warning"]) == (True, True)
    assert "anyone can find out which addresses have an account" in checks["registration"]["detail"]
    assert "warning" in call("doctor", folder=tmp_path, environ=environ).stdout


def test_valid_settings_are_read_once(tmp_path, monkeypatch):
    """What is shown is what was checked, even if a file changes in between."""

    def read(*_args, **_options):
        raise AssertionError("read again")

    monkeypatch.setattr("ostiary.cli.options.read_settings", read)
    code, settings, _ = doctor(tmp_path)
    assert (code, settings["prefix"]["value"]) == (0, "/auth")
