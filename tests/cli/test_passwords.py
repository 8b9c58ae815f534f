"""A password is read from stdin or typed twice. It is never taken from the arguments."""

import json
import os
import pty
import signal
import subprocess

import pytest

from tests.cli.program import PASSWORD, PATIENCE, PROGRAM, call, environment, run


def typed(folder, *lines):
    """Runs `users create` at a terminal, types ``lines``, and returns the exit code and everything displayed."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [PROGRAM, "users", "create", "ada@example.com"],
            cwd=folder,
            env=environment(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        seen = ""
        for prompt, line in zip(("Password: ", "The same again: "), lines, strict=True):
            while not seen.endswith(prompt):
                seen += os.read(ours, 1000).decode()
            os.write(ours, f"{line}\n".encode())
        code = process.wait(PATIENCE)
        os.write(theirs, b"END")
        while not seen.endswith("END"):
            seen += os.read(ours, 1000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    return code, seen


def test_a_password_is_typed_twice_and_not_displayed(tmp_path):
    assert call("migrate", folder=tmp_path).returncode == 0
    code, seen = typed(tmp_path, PASSWORD, PASSWORD)
    assert code == 0
    assert "ada@example.com" in seen
    assert PASSWORD not in seen


def test_two_different_passwords_create_no_account(tmp_path):
    assert call("migrate", folder=tmp_path).returncode == 0
    code, seen = typed(tmp_path, PASSWORD, PASSWORD + "!")
    assert code == 2
    assert "the two passwords differ" in seen
    assert json.loads(call("users", "list", "--json", folder=tmp_path).stdout)["users"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ada@example.com"], "no terminal to ask for a password: use --password-stdin"),
        (["ada@example.com", PASSWORD], f"unexpected argument: {PASSWORD}"),
        (["ada@example.com", "--password", PASSWORD], "Unknown option"),
    ],
)
def test_without_a_terminal_the_password_is_read_from_stdin_only(tmp_path, arguments, said):
    assert call("migrate", folder=tmp_path).returncode == 0
    done = run("users", "create", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert json.loads(call("users", "list", "--json", folder=tmp_path).stdout)["users"] == []


def test_one_ctrl_c_at_the_prompt_stops_the_command_and_nothing_is_written(tmp_path):
    run("migrate", folder=tmp_path)
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [PROGRAM, "users", "create", "ada@example.com"],
            cwd=tmp_path,
            env=environment(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        seen = ""
        while not seen.endswith("Password: "):
            seen += os.read(ours, 1000).decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    finally:
        os.close(ours)
        os.close(theirs)
    assert json.loads(run("users", "list", "--json", folder=tmp_path).stdout)["users"] == []
