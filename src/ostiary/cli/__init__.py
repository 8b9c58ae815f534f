"""The command line: ``ostiary serve``, ``ostiary users create`` and so on.

Owns what is printed, exit codes, and how server processes are started. Decides nothing about accounts or tokens: each
command assembles an `ostiary.app.Ostiary` and uses its API in the operator's name.
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

_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it


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
        # the reader of our output has closed it; Python would complain when it closes stdout at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as problem:  # noqa: BLE001 - a traceback helps nobody at a terminal
        refused = refusal(problem)
        print(refused.told(json="--json" in arguments), file=sys.stderr)
        return refused.code
    return code if isinstance(code, int) else 0


def _never_fail_to_print() -> None:
    """If the terminal cannot show a character, its number is printed."""
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
    """What the docstring says before its sections, each paragraph on one line: the terminal's width wraps it."""
    text = (inspect.getdoc(function) or "").partition("\nArgs:\n")[0]
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))
