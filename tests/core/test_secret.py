"""The master secret: weak ones are refused, and the file next to the database is created once, for its owner only."""

import asyncio
import base64
import os
import re
import secrets
import sqlite3
import subprocess
import sys

import pytest

from ostiary.app import Ostiary
from ostiary.core.secret import check_secret, load_secrets, secret_path
from ostiary.core.settings import Secret
from ostiary.errors import ConfigurationError

GOOD = "x2Yb7uXG0vq0O1Y5c7bZzq0J6m5wq1n8m3r9t4k2p6s"

WEAK = {
    "nothing": "",
    "the first guess": "secret",
    "the second": "changeme",
    "of the old jwt.io": "your-256-bit-secret",
    "of the new jwt.io": "a-string-secret-at-least-256-bits-long",
    "an example made longer": "your-256-bit-secret-your-256-bit-secret-00",
    "an example with other letters": "ChangeMe-ChangeMe-0192837465-ZYXWVUTSRQPONM",
    "django's first": "django-insecure-4f$8s#2k!q9w@e7r6t5y4u3i2o1p0a9s8d7f",
    "fastapi's tutorial": "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "flask's quickstart": "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "RFC 7515 A.1": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "RFC 7520 3.5": "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
    "16 random bytes in hex": secrets.token_hex(16),
    "31 random bytes in hex": secrets.token_hex(31),
    "31 random bytes in base64": base64.urlsafe_b64encode(secrets.token_bytes(31)).decode().rstrip("="),
    "one letter": "a" * 64,
    "all zeros": "0" * 64,
    "two letters in turn": "ab" * 32,
    "a short one repeated": "kX9#mQ2$" * 8,
    "nearly one letter": "a" * 42 + "b",
    "the alphabet": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "the digits": "0123456789abcdef" * 4,
    "the keyboard": "qwertyuiopasdfghjklzxcvbnmQWERTYUIOPASDFGHJ",
    "a sentence": "mydogatemyhomeworkandthenheatemybreakfasttoday",
    "a sentence with hyphens": "the-quick-brown-fox-jumps-over-the-lazy-dog-and-runs-away",
    "a sentence in capitals": "CORRECT_HORSE_BATTERY_STAPLE_CORRECT_HORSE_BATTERY",
    "words": "super_secure_fintech_jwt_secret_for_everybody",
    "with a space": "x2Yb7uXG0vq0O1Y5c7bZ zq0J6m5wq1n8m3r9t4k2p6s",
    "with a line break": GOOD + "\n",
    "with a letter that is not ASCII": "é" + GOOD,
    "with a NUL": GOOD + "\0",
}


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("text", WEAK.values(), ids=WEAK)
def test_weak_secrets_are_refused_with_a_command_to_create_a_new_one(text):
    """J06, D11."""
    with pytest.raises(ConfigurationError) as problem:
        check_secret(text)
    assert "secrets.token_urlsafe(32)" in str(problem.value)
    assert len(text) < 10 or text not in str(problem.value)


def in_base64(size):
    return base64.b64encode(secrets.token_bytes(size)).decode()


def in_base32(size):
    return base64.b32encode(secrets.token_bytes(size)).decode()


@pytest.mark.parametrize("make", [secrets.token_urlsafe, secrets.token_hex, in_base64, in_base32])
def test_32_random_bytes_are_accepted_in_every_common_encoding(make):
    for _ in range(500):
        assert check_secret(text := make(32)) == text.encode()


def test_several_secrets_are_given_newest_first():
    other = secrets.token_urlsafe(32)
    assert load_secrets(Secret(f"{other} {GOOD}"), database_path=None) == (other.encode(), GOOD.encode())
    with pytest.raises(ConfigurationError):
        load_secrets(Secret(f"{other} changeme"), database_path=None)


def test_a_blank_secret_does_not_count_as_missing(tmp_path):
    for blank in (" ", "\t\n"):
        with pytest.raises(ConfigurationError, match="too short"):
            load_secrets(Secret(blank), database_path=tmp_path / "app.db")


def test_without_a_database_file_a_secret_is_required():
    with pytest.raises(ConfigurationError, match="OSTIARY_SECRET is needed"):
        load_secrets(None, database_path=None)


def test_the_file_is_created_once_and_readable_only_by_its_owner(tmp_path):
    database = tmp_path / "app.db"
    before = os.umask(0)  # the most permissive umask
    try:
        (first,) = load_secrets(None, database_path=database)
    finally:
        os.umask(before)
    path = secret_path(database)
    assert path == tmp_path / "app.db.secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_secrets(None, database_path=database) == (first,)
    assert re.fullmatch(rb"[A-Za-z0-9_-]{43}", first)
    assert names_in(tmp_path) == ["app.db.secret"], "no other file is left"


_LOAD = """
import sys
from pathlib import Path
from ostiary.core.secret import load_secrets
print("ready", flush=True)
sys.stdin.readline()
print(load_secrets(None, database_path=Path(sys.argv[1]))[0].decode())
"""


def test_eight_concurrent_processes_create_one_secret(tmp_path):
    """Every worker opens. Later workers must read what the first one wrote, and none may read an incomplete file."""
    command = [sys.executable, "-c", _LOAD, tmp_path / "app.db"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(8)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    found = {process.communicate(timeout=30)[0] for process in processes}
    assert len(found) == 1
    assert check_secret(found.pop().strip())
    assert names_in(tmp_path) == ["app.db.secret"]
    assert (tmp_path / "app.db.secret").stat().st_mode & 0o777 == 0o600


async def test_four_concurrent_installations_in_a_new_folder_agree_on_secret_and_key(tmp_path):
    several = [Ostiary(f"sqlite:///{tmp_path / 'app.db'}", environ={}) for _ in range(4)]
    await asyncio.gather(*(auth.open() for auth in several))
    try:
        assert len({auth.ambient.keys.current.kid for auth in several}) == 1
    finally:
        await asyncio.gather(*(auth.close() for auth in several))


def test_a_database_without_its_secret_file_does_not_get_a_new_secret(tmp_path):
    """A new secret would make its signing keys and second factors unreadable, without an obvious reason."""
    database = tmp_path / "app.db"
    with sqlite3.connect(database) as connection:
        connection.execute("create table t (x)")
    connection.close()
    with pytest.raises(ConfigurationError, match="exists but its secret"):
        load_secrets(None, database_path=database)
    assert names_in(tmp_path) == ["app.db"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o602])
def test_a_file_that_others_can_read_or_write_is_refused(tmp_path, mode):
    """P14."""
    load_secrets(None, database_path=tmp_path / "app.db")
    secret_path(tmp_path / "app.db").chmod(mode)
    with pytest.raises(ConfigurationError, match="can be read by others: chmod 600"):
        load_secrets(None, database_path=tmp_path / "app.db")


@pytest.mark.parametrize("content", [b"", b"changeme", b"\xff\xfe", GOOD.encode() + b"\n" + GOOD.encode()])
def test_a_file_with_invalid_content_is_refused_in_one_line_that_names_it(tmp_path, content):
    path = secret_path(tmp_path / "app.db")
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError) as problem:
        load_secrets(None, database_path=tmp_path / "app.db")
    assert "\n" not in str(problem.value)


def test_a_missing_folder_or_dangling_link_is_reported_in_one_line(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        load_secrets(None, database_path=tmp_path / "missing" / "app.db")
    secret_path(tmp_path / "app.db").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match="No such file"):
        load_secrets(None, database_path=tmp_path / "app.db")


async def test_a_secret_that_did_not_seal_the_keys_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path / 'app.db'}"
    async with Ostiary(url, secret=GOOD, environ={}).opened():
        pass
    with pytest.raises(ConfigurationError, match="sealed with another secret"):
        await Ostiary(url, secret=secrets.token_urlsafe(32), environ={}).open()
    async with Ostiary(url, secret=f"{secrets.token_urlsafe(32)} {GOOD}", environ={}).opened() as house:
        assert house.ambient.keys.current.kid


async def test_the_database_file_does_not_contain_the_private_key(tmp_path):
    """C-1: the private key is sealed at rest."""
    path = tmp_path / "app.db"
    async with Ostiary(f"sqlite:///{path}", secret=GOOD, environ={}).opened() as house:
        private = house.ambient.keys.current.to_jwk()["d"]
        kid = house.ambient.keys.current.kid
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert kid.encode() in content
    for written in (private.encode(), base64.urlsafe_b64decode(private + "="), GOOD.encode()):
        assert written not in content


def test_an_empty_secret_file_must_be_restored_and_is_not_replaced(tmp_path):
    """A new secret would lock the operator out of the database."""
    path = tmp_path / "app.db"
    load_secrets(None, database_path=path)
    for content in ("", "short", "\u00e9"):
        secret_path(path).write_text(content, encoding="utf-8")
        with pytest.raises(ConfigurationError, match=r"is damaged.*restore it from your backup"):
            load_secrets(None, database_path=path)


async def test_a_mistyped_database_is_reported_before_a_missing_secret():
    with pytest.raises(ConfigurationError, match=r"sqlite:///file\.db"):
        async with Ostiary("app.db", environ={}).opened():
            pass
