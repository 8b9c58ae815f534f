"""Where values come from: toml files, files that variables name, and what container platforms set."""

import logging
import os

import pytest

from ostiary.app import Ostiary
from ostiary.app.slices import read_settings
from ostiary.core.settings import ConfigFile, load
from ostiary.errors import ConfigurationError
from ostiary.settings import RegistrationSettings, SessionSettings, WebSettings
from ostiary.store.hot import Rate
from tests.core.settings.toys import HIDDEN, SECRET, STATED, refused

NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def toml(folder):
    def write(text, mode=0o600):
        path = folder / "ostiary.toml"
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    return write


# --- ostiary.toml -----------------------------------------------------------------------------------------------------


def test_a_file_can_have_sections_lists_numbers_and_strings(toml):
    path = toml(
        'prefix = "/id"\n'
        '[web]\ntrusted_origins = ["https://a.example.com", "https://b.example.com"]\nbody_limit = 2048\n'
        '[registration]\nlimit = "3/30s"\nrequire_verified_email = true\n'
    )
    settings = read_settings({}, config=path, environ={}).settings
    assert settings.prefix == "/id"
    assert settings.of(WebSettings).trusted_origins == ("https://a.example.com", "https://b.example.com")
    assert settings.of(WebSettings).body_limit == 2048
    assert settings.of(RegistrationSettings).limit == Rate(3, 30)
    assert settings.of(RegistrationSettings).require_verified_email is True


def test_the_file_of_the_current_folder_is_read_without_being_named(toml):
    assert Ostiary(environ={}).settings.of(SessionSettings).limit == 5, "there is none"
    toml("[sessions]\nlimit = 7\n")
    auth = Ostiary(environ={})
    assert auth.settings.of(SessionSettings).limit == 7
    (finding,) = [finding for finding in auth.findings if finding.name == "sessions.limit"]
    assert finding.source == "ostiary.toml"
    assert Ostiary(environ={}, config=None).settings.of(SessionSettings).limit == 5


@pytest.mark.parametrize(("text", "said"), {
    "= nothing": "Invalid statement (at line 1, column 1)",
    "[sessions]\n[sessions]": "Cannot declare ('sessions',) twice (at line 2, column 10)",
    "sessions = 5": "there is no setting 'sessions'; did you mean sessions.",
    "[sessions]\nlimits = 5": "there is no setting 'sessions.limits'; did you mean sessions.limit?",
    "[sessions.limit]\nper = 5": "sessions.limit must be a whole number",
    "[sessions]\nlimit = 2026-01-01": "sessions.limit must be a whole number",
    "[web]\ntrusted_origins = 5": "web.trusted_origins must be texts, not int",
    "[secret]\nnew = 'x'": "there is no setting 'secret.new'; did you mean secret?",
}.items())  # fmt: skip
def test_a_mistake_in_a_file_is_one_line_that_names_the_file(toml, text, said):
    toml(text)
    assert refused(config="ostiary.toml").startswith(f"ostiary.toml: {said}")
    assert refused(config=ConfigFile.IF_PRESENT) == refused(config="ostiary.toml")


def test_a_named_file_must_exist_and_be_a_text_file(folder):
    missing = folder / "missing.toml"
    assert refused(config=missing) == f"{missing}: No such file or directory"
    assert refused(config=folder) == f"{folder}: Is a directory"
    binary = folder / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    assert refused(config=binary) == f"{binary} is not UTF-8 text"


@pytest.mark.parametrize("config", [ConfigFile.IF_PRESENT, "ostiary.toml"])
def test_a_world_writable_file_is_refused(toml, config):
    """The file decides which database, secret and proxies are used."""
    toml("production = false\n", mode=0o666)
    assert refused(config=config) == "ostiary.toml: everybody can write it. Run: chmod o-w ostiary.toml"
    toml("production = false\n", mode=0o664)
    assert read_settings({}, config=config, environ={}).settings


@needs_root
def test_a_file_of_another_user_is_read_only_if_it_is_named(toml):
    """Otherwise a command in a folder such as /tmp would use the settings of another user."""
    os.chown(toml("prefix = '/id'\n"), NOBODY, -1)
    said = refused(config=ConfigFile.IF_PRESENT)
    assert said.startswith("ostiary.toml: it belongs to another user (uid 65534). Name it with --config")
    assert read_settings({}, config="ostiary.toml", environ={}).settings.prefix == "/id"


@needs_root
def test_a_file_of_root_is_accepted_for_every_user(toml, folder, monkeypatch):
    toml("prefix = '/id'\n", mode=0o644)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert read_settings({}, config=ConfigFile.IF_PRESENT, environ={}).settings.prefix == "/id"


# --- OSTIARY_X_FILE ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o444, 0o640, 0o644])
def test_a_secret_is_read_from_a_file_that_others_may_read(folder, mode):
    """Docker mounts secrets with mode 0444, Kubernetes with fsGroup with 0440."""
    file = folder / "secret"
    file.write_text(f"{SECRET}\n")
    file.chmod(mode)
    loaded = read_settings({}, config=None, environ={"OSTIARY_SECRET_FILE": str(file)})
    assert loaded.settings.secret.reveal() == SECRET
    assert loaded.source_of("secret") == "OSTIARY_SECRET_FILE"


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_any_setting_can_come_from_a_file_and_its_line_end_is_ignored(folder, end):
    (folder / "origins").write_text(f"https://a.example.com https://b.example.com{end}", newline="")
    (folder / "limit").write_text(f"7{end}", newline="")
    environ = {"OSTIARY_WEB_TRUSTED_ORIGINS_FILE": "origins", "OSTIARY_SESSIONS_LIMIT_FILE": "limit"}
    settings = read_settings({}, config=None, environ=environ).settings
    assert settings.of(WebSettings).trusted_origins == ("https://a.example.com", "https://b.example.com")
    assert settings.of(SessionSettings).limit == 7


def test_an_unusable_file_is_reported_in_one_line_without_its_content(folder):
    file = folder / "secret"
    file.write_text(HIDDEN)
    file.chmod(0o602)
    (folder / "binary").write_bytes(b"hunter2\xff")
    (folder / "large").write_bytes(b"hunter2" * 200_000)
    said = {
        "missing": "missing: No such file or directory",
        ".": ".: Is a directory",
        "secret/x": "secret/x: Not a directory",
        "binary": "binary is not UTF-8 text",
        "large": "large is larger than 1048576 bytes",
        "secret": "everybody can write secret. Run: chmod o-w secret",
    }
    for path, problem in said.items():
        assert refused(environ={"OSTIARY_SECRET_FILE": path}) == f"OSTIARY_SECRET_FILE: {problem}"


def test_a_variable_and_its_file_together_are_refused(folder):
    file = folder / "secret"
    file.write_text(HIDDEN)
    said = refused(environ={"OSTIARY_SECRET": HIDDEN, "OSTIARY_SECRET_FILE": str(file)})
    assert said == "OSTIARY_SECRET and OSTIARY_SECRET_FILE are both set: keep one of them"


@pytest.mark.parametrize("name", [
    "issuer", "prefix", "production", "sessions.limit", "sessions.limit_policy", "sign_in.limit", "web.trusted_proxies",
    "web.trusted_origins", "tokens.resources", "mail.smtp", "mail.sender", "keys.algorithm",
])  # fmt: skip
def test_a_wrong_value_in_a_file_is_reported_without_its_content(folder, name):
    """A variable may name the wrong file, such as the one with the secret."""
    (folder / "wrong").write_text(f"{HIDDEN}\n{HIDDEN}\n")
    variable = f"OSTIARY_{name.replace('.', '_').upper()}_FILE"
    loaded = read_settings({}, config=None, environ={variable: "wrong"})
    (finding,) = [finding for finding in loaded.findings if finding.problem]
    assert finding.problem.startswith(f"{variable}: {name} must ")
    assert finding.value is None
    assert "hunter2" not in finding.problem + repr(finding) + repr(loaded)
    assert "hunter2" not in refused(environ={variable: "wrong"})


def test_a_number_from_a_file_that_is_out_of_bounds_is_not_quoted_either(folder):
    (folder / "wrong").write_text("31337")
    said = refused(environ={"OSTIARY_SESSIONS_LIMIT_FILE": "wrong"})
    assert said == "OSTIARY_SESSIONS_LIMIT_FILE: sessions.limit must be between 1 and 10000"


# --- what container platforms set -------------------------------------------------------------------------------------

KUBERNETES = {
    "OSTIARY_SERVICE_HOST": "10.0.0.11",
    "OSTIARY_SERVICE_PORT": "8000",
    "OSTIARY_SERVICE_PORT_HTTP": "8000",
    "OSTIARY_PORT": "tcp://10.0.0.11:8000",
    "OSTIARY_PORT_8000_TCP": "tcp://10.0.0.11:8000",
    "OSTIARY_PORT_8000_TCP_PROTO": "tcp",
    "OSTIARY_PORT_8000_TCP_PORT": "8000",
    "OSTIARY_PORT_8000_TCP_ADDR": "10.0.0.11",
    "OSTIARY_DB_SERVICE_HOST": "10.0.0.12",
    "OSTIARY_DB_SERVICE_PORT": "5432",
    "OSTIARY_DB_PORT": "tcp://10.0.0.12:5432",
    "OSTIARY_DB_PORT_5432_TCP_ADDR": "10.0.0.12",
    "OSTIARY_VOICE_PORT_53_UDP": "udp://10.0.0.13:53",
    "OSTIARY_VOICE_PORT_36412_SCTP": "sctp://10.0.0.13:36412",
}
DOCKER = {
    "OSTIARY_NAME": "/web/ostiary",
    "OSTIARY_PORT": "tcp://172.17.0.5:8000",
    "OSTIARY_PORT_8000_TCP_START": "tcp://172.17.0.5:8000",
    "OSTIARY_PORT_8000_TCP_END": "tcp://172.17.0.5:8003",
    "OSTIARY_PORT_8000_TCP_PORT_START": "8000",
    "OSTIARY_PORT_8000_TCP_PORT_END": "8003",
    "OSTIARY_ENV_PYTHON_VERSION": "3.13",
    "OSTIARY_ENV_OSTIARY_SECRET": HIDDEN,
    "OSTIARY_DB_NAME": "/web/ostiary_db",
}


@pytest.mark.parametrize("links", [KUBERNETES, DOCKER], ids=["Kubernetes", "Docker"])
def test_variables_that_a_platform_sets_for_a_service_of_this_name_are_ignored(links):
    loaded = read_settings({}, config=None, environ=links)
    assert loaded.ignored == tuple(sorted(links))
    assert {finding.problem for finding in loaded.findings} == {None}
    assert loaded.settings == read_settings({}, config=None, environ={}).settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OSTIARY_PORT", "8000"),
        ("OSTIARY_PORT", ""),
        ("OSTIARY_NAME", "my login"),
        ("OSTIARY_PORT_TCP", "8000"),
        ("OSTIARY_SERVICE", "10.0.0.11"),
        ("OSTIARY_HOST", "0.0.0.0"),
        ("OSTIARY_ENV", "production"),
        ("OSTIARY_ISUER_FILE", "/run/secrets/issuer"),
    ],
)
def test_similar_variables_are_unknown_settings(variable, value):
    assert refused(environ={variable: value}).startswith(f"{variable}: there is no such setting")


async def test_ignored_variables_are_logged_once_when_it_opens(folder, caplog):
    auth = Ostiary("sqlite:///app.db", config=None, environ=KUBERNETES | DOCKER)
    with caplog.at_level(logging.INFO, logger="ostiary"):
        async with auth.opened(), auth.opened():
            pass
    (record,) = [record for record in caplog.records if record.getMessage() == "settings.variables_ignored"]
    assert record.names == " ".join(sorted(KUBERNETES | DOCKER))
    assert "hunter2" not in str(vars(record))


def test_a_setting_is_never_mistaken_for_a_link_variable():
    """Its name is looked up first."""
    environ = {"OSTIARY_LAMP_NAME": "/attic", "OSTIARY_PORT": "tcp://10.0.0.1:8000"}
    loaded = load(STATED, environ=environ, config=None)
    assert loaded.ignored == ("OSTIARY_PORT",)
    assert loaded.source_of("lamp.name") == "OSTIARY_LAMP_NAME"


# --- odd files --------------------------------------------------------------------------------------------------------


def test_a_pipe_in_the_current_folder_does_not_block_the_start(folder):
    os.mkfifo(folder / "ostiary.toml")
    with pytest.raises(ConfigurationError, match="not a regular file"):
        read_settings({}, config=ConfigFile.IF_PRESENT, environ={})


@pytest.mark.parametrize("text", ['"sessions.limit" = 99', "[sessions]\nlimit = 3\n", "a = " + "[" * 5000])
def test_a_setting_has_one_place_in_a_toml_file(toml, text):
    """A quoted name was a second way to set a setting, and the last one won. Deep nesting was a traceback."""
    path = toml(text)
    if text.startswith("[sessions]"):
        assert read_settings({}, config=path, environ={}).settings.of(SessionSettings).limit == 3
        return
    with pytest.raises(ConfigurationError) as problem:
        read_settings({}, config=path, environ={})
    assert str(problem.value).startswith(str(path))


@pytest.mark.parametrize("secret", ["", " "])
def test_an_empty_secret_is_refused_when_settings_are_read(folder, secret):
    """It neither opens nor falls back to the file beside the database."""
    (folder / "secret").write_text(secret + "\n")
    for given in ({"top": {"secret": secret}}, {"environ": {"OSTIARY_SECRET_FILE": str(folder / "secret")}}):
        with pytest.raises(ConfigurationError, match="secret must not be empty"):
            _ = read_settings(given.get("top", {}), config=None, environ=given.get("environ", {})).settings
