"""The command line: ``ostiary serve``, ``ostiary users create`` and so on.

Owns the output, exit codes, and the start of server processes. Decides nothing about accounts or tokens: each command
assembles an `ostiary.app.Ostiary` and uses its API as the operator.
"""

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from io import TextIOWrapper
from typing import Any, Final

from cyclopts import App

from ostiary._version import __version__
from ostiary.cli import clients, keys, token, users
from ostiary.cli.doctor import doctor
from ostiary.cli.migrate import migrate
from ostiary.cli.openapi import openapi
from ostiary.cli.refusal import refusal
from ostiary.cli.restored import restored
from ostiary.cli.serve import serve

_INTERRUPTED: Final = 130  # 128 + SIGINT, as in shells


def main() -> None:
    """The entry point."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code. Every failure is one line on stderr."""
    _never_fail_to_print()
    try:
        code = _command_line()(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader of our output has closed the pipe: without this, Python reports an error when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as problem:  # noqa: BLE001 - users get one line instead of a traceback
        refused = refusal(problem)
        print(refused.told(json="--json" in arguments), file=sys.stderr)
        return refused.code
    return code if isinstance(code, int) else 0


def _never_fail_to_print() -> None:
    """Makes both streams print the number of a character that they cannot encode."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _command_line() -> App:
    app = App(
        name="ostiary",
        help="Secure token authentication: accounts, sign-in, refresh, revocation, roles.",
        help_format="plaintext",
        version=__version__,
    )
    for command in (serve, migrate, doctor, openapi, restored):
        app.command(command, help=_description(command))
    app.command(_group("users", "Accounts.", users.COMMANDS))
    app.command(_group("clients", "Service clients.", clients.COMMANDS))
    app.command(_group("keys", "Signing keys.", keys.COMMANDS))
    app.command(_group("token", "Inspect and verify tokens.", token.COMMANDS))
    return app


def _group(name: str, text: str, commands: Mapping[str, Callable[..., Any]]) -> App:
    group = App(name=name, help=text)
    for command, function in commands.items():
        group.command(function, name=command, help=_description(function))
    return group


def _description(function: Callable[..., Any]) -> str:
    """The docstring up to its sections, with each paragraph on one line, so that it is wrapped at the terminal's
    width."""
    text = (inspect.getdoc(function) or "").partition("\nArgs:\n")[0]
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))
