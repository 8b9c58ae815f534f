"""No part of a password in a URL appears in any output, whether the URL is right or wrong."""

import logging
import traceback
import urllib.parse

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary import Ostiary
from ostiary.errors import OstiaryError
from ostiary.settings import MailSettings
from tests.cli.program import call

LETTERS = "QZXJWKV"
RESERVED = "#@:/?%&=+[] \"'<>\\^`{|}!$()*,;~é\u00a0\t"
CLOSED = 1  # a port that nothing listens on

TEMPLATES = {
    "database": "postgresql://user:{}@127.0.0.1:1/auth",
    "database, in the query": "postgresql://user@127.0.0.1:1/auth?password={}",
    "database, without a host": "postgresql://user:{}",
    "database, without a scheme": "user:{}@127.0.0.1:1/auth",
    "hot, without a scheme": ":{}@127.0.0.1:1/0",
    "hot": "valkey://:{}@127.0.0.1:1/0",
    "hot, with a user": "redis://user:{}@127.0.0.1:1/0",
    "mail.smtp": "smtp://user:{}@127.0.0.1:1",
    "mail.smtp, without a host": "smtps://user:{}",
}

passwords = st.text(LETTERS + RESERVED, min_size=6, max_size=20)


def fragments(password):
    """Every run of four characters with at least two unmistakable ones, plain and percent-encoded."""
    for text in (password, urllib.parse.quote(password, safe="")):
        for start in range(len(text) - 3):
            part = text[start : start + 4]
            if sum(character in LETTERS for character in part) >= 2:
                yield part


def settings_for(template, password, *, encoded):
    """An environment in which `serve` cannot start."""
    url = TEMPLATES[template].format(urllib.parse.quote(password, safe="") if encoded else password)
    name = template.partition(",")[0]
    found = {"OSTIARY_DATABASE": f"postgresql://127.0.0.1:{CLOSED}/auth", "OSTIARY_SECRET": "s" * 20}
    return found | {f"OSTIARY_{name.replace('.', '_').upper()}": url}


def hides(password, output):
    return [part for part in fragments(password) if part in output] == []


quietly = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@pytest.mark.parametrize("template", TEMPLATES)
@quietly
@given(password=passwords, encoded=st.booleans())
def test_no_part_of_a_password_is_in_the_output_of_a_command(tmp_path, template, password, encoded):
    environ = settings_for(template, password, encoded=encoded)
    for arguments in (("doctor",), ("doctor", "--json"), ("serve",), ("users", "list")):
        done = call(*arguments, folder=tmp_path, environ=environ)
        assert done.returncode != 0
        assert hides(password, done.stdout + done.stderr), (arguments, done.stdout, done.stderr)
        assert "internal error" not in done.stderr


@pytest.mark.parametrize("template", TEMPLATES)
@quietly
@given(password=passwords, encoded=st.booleans())
def test_no_part_of_a_password_is_in_an_error_a_log_or_a_repr_in_python(template, password, encoded, caplog):
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    url = TEMPLATES[template].format(urllib.parse.quote(password, safe="") if encoded else password)
    name = template.partition(",")[0]
    sections = [MailSettings(smtp=url)] if name == "mail.smtp" else []
    top = {"database": f"postgresql://127.0.0.1:{CLOSED}/auth"} | ({} if sections else {name: url})
    said = [repr(sections)]
    try:
        auth = Ostiary(top.pop("database"), *sections, config=None, environ={}, secret="s" * 43, **top)
        said += [repr(auth), repr(auth.settings), repr(auth.findings)]
        auth.run(auth.accounts.list())
    except (OstiaryError, RuntimeError):
        said.append(traceback.format_exc())
    said += [str(vars(record)) for record in caplog.records]
    assert hides(password, "\n".join(said)), said


WRONG = [
    ("OSTIARY_DATABASE", "postgresql://user:pa#ss@db/auth", "database"),
    ("OSTIARY_DATABASE", "postgresql://user:pa/ss@db/auth", "database"),
    ("OSTIARY_DATABASE", "postgresql://user:12/ss@db/auth", "database"),
    ("OSTIARY_DATABASE", "postgresql://user:pa?ss@db/auth", "database"),
    ("OSTIARY_DATABASE", "postgresql://user:pa@ss@db/auth", "database"),
    ("OSTIARY_DATABASE", "postgresql://user:pa%ss@db/auth", "database"),
    ("OSTIARY_DATABASE", "postgresql://user:pa ss@db/auth", "database"),
    ("OSTIARY_HOT", "valkey://:pa#ss@db:6379/0", "hot"),
    ("OSTIARY_MAIL_SMTP", "smtp://user:pa#ss@mail.example.com:587", "mail.smtp"),
    ("OSTIARY_MAIL_SMTP", "smtp://user@example.com:pass@mail.example.com:587", "mail.smtp"),
]


@pytest.mark.parametrize(("variable", "url", "name"), WRONG)
def test_a_url_with_an_unencoded_password_is_refused_with_what_to_do(tmp_path, variable, url, name):
    for command in ("doctor", "serve"):
        done = call(command, folder=tmp_path, environ={variable: url})
        assert done.returncode != 0
        said = " ".join((done.stdout + done.stderr).split())
        assert f"{variable}: {name} is not a valid URL" in said
        assert "percent-encode" in said
        assert "# is %23" in said


@pytest.mark.parametrize("name", ["with#hash.db", "with?question.db"])
def test_an_sqlite_file_with_a_reserved_character_is_refused_with_what_to_do(tmp_path, name):
    done = call("serve", "--database", f"sqlite:///{name}", folder=tmp_path)
    assert done.returncode == 2
    assert "percent-encode # as %23" in done.stderr
    assert call("migrate", "--database", "sqlite:///with%23hash ü.db", folder=tmp_path).returncode == 0
    assert (tmp_path / "with#hash ü.db").exists()
