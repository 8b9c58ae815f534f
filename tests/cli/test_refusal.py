"""Every failure is one line on stderr and an exit code that tells a refusal from a command that could not start."""

import json
import subprocess
import sys

import pytest

from ostiary import cli
from ostiary.cli.refusal import refusal
from ostiary.errors import ConfigurationError, Conflict, NotFound, PasswordRejected, StoreUnavailable
from tests.cli.program import PROGRAM, environment, run


@pytest.mark.parametrize(
    "arguments",
    [
        ["sing"],
        ["serve", "--prot", "1"],
        ["serve", "--port", "x"],
        ["serve", "--port", "65536"],
        ["serve", "--workers", "0"],
        ["serve", "--port"],
        ["users", "create"],
        ["users", "roles", "ada@example.com"],
        ["users", "roles", "ada@example.com", "admin"],
        ["users", "list", "--limit", "0"],
        ["users", "show", "a@example.com", "\x1b[2J\nostiary: all is well"],
    ],
)
def test_a_bad_argument_prints_one_line(arguments, capsys):
    assert cli.run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("ostiary: ")
    assert said.err.count("\n") == 1
    assert said.err.strip().isprintable()


@pytest.mark.parametrize(
    ("problem", "line", "code"),
    [
        (ConfigurationError("no folder"), "no folder", 2),
        (StoreUnavailable("away"), "away", 2),
        (NotFound("no account"), "no account", 1),
        (Conflict(), "The current state does not allow this.", 1),
        (PasswordRejected(("Too short.", "Too old.")), "the password is refused: Too short. Too old.", 1),
        (NotFound("two\nlines\x1b[31m"), "two lines\\x1b[31m", 1),
    ],
)
def test_an_error_becomes_its_message_and_an_exit_code(problem, line, code):
    assert refusal(problem) == (line, code)
    assert refusal(problem).told(json=False) == f"ostiary: {line}"
    assert json.loads(refusal(problem).told(json=True)) == {"error": line}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["users", "show", "a@example.com", "extra"], "unexpected argument: extra"),
        (["users", "show", "a@example.com", "extra", "more"], "unexpected arguments: extra, more"),
        (
            ["users", "roles", "ada@example.com", "+user", "admin"],
            "write +admin to add a role or -admin to remove it, not 'admin'",
        ),
    ],
)
def test_a_refusal_prints_a_line_or_a_json_object(arguments, said, capsys):
    assert cli.run(arguments) == 2
    assert capsys.readouterr().err == f"ostiary: {said}\n"
    assert cli.run([*arguments, "--json"]) == 2
    assert json.loads(capsys.readouterr().err) == {"error": said}


def test_a_bug_shows_its_location_and_not_its_message():
    try:
        raise ValueError("hunter2")
    except ValueError as problem:
        line, code = refusal(problem)
    assert line.startswith("internal error: ValueError at test_refusal.py:")
    assert "hunter2" not in line
    assert code == 2


def test_help_and_version(tmp_path):
    shown = run("--help", folder=tmp_path)
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in ("serve", "migrate", "doctor", "openapi", "users", "keys"))
    module = subprocess.run(
        [sys.executable, "-m", "ostiary.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert module.stdout == run("--version", folder=tmp_path).stdout


def test_a_reader_that_closes_the_pipe_early_is_not_an_error(tmp_path):
    command = f"'{PROGRAM}' openapi | head -c 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, env=environment(), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"{", b"")
