"""A password is read from stdin or typed twice. It is never taken from the arguments."""

import json
import os
import pty
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.program import PASSWORD, PATIENCE, PROGRAM, call, environment, run

READ = {"0", "63"}
"""The number of the system call, on x86-64 and on ARM."""


@contextmanager
def at_a_terminal(folder):
    """Runs `users create` at a terminal. Yields the process, and our and its side of the terminal."""
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
        yield process, ours, theirs
    finally:
        os.close(ours)
        os.close(theirs)


def read_until(ours, end):
    seen = ""
    while not seen.endswith(end):
        seen += os.read(ours, 1000).decode()
    return seen


def typed(folder, *lines):
    """Types ``lines``, and returns the exit code and everything displayed."""
    seen = ""
    with at_a_terminal(folder) as (process, ours, theirs):
        for prompt, line in zip(("Password: ", "The same again: "), lines, strict=True):
            seen += read_until(ours, prompt)
            os.write(ours, f"{line}\n".encode())
        code = process.wait(PATIENCE)
        os.write(theirs, b"END")
        seen += read_until(ours, "END")
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
    assert call("migrate", folder=tmp_path).returncode == 0
    with at_a_terminal(tmp_path) as (process, ours, _):
        read_until(ours, "Password: ")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    assert json.loads(call("users", "list", "--json", folder=tmp_path).stdout)["users"] == []


def test_one_ctrl_c_while_stdin_is_read_stops_the_command(tmp_path):
    assert call("migrate", folder=tmp_path).returncode == 0
    with subprocess.Popen(
        [PROGRAM, "users", "create", "ada@example.com", "--password-stdin"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + PATIENCE
        while not _reads_stdin(process.pid):
            assert time.monotonic() < deadline, "timed out"
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130


def _reads_stdin(pid):
    """Whether the process waits in a system call whose first argument is 0: the file descriptor of stdin."""
    name, *arguments = Path(f"/proc/{pid}/syscall").read_text().split()
    return name in READ and arguments[0] == "0x0"
