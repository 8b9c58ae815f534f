"""Reading a password, never from the command line: that is seen in the list of processes and kept in histories."""

import getpass
import sys
from typing import Final

from ostiary.errors import ConfigurationError

_LONGEST_LINE: Final = 64 * 1024  # bytes; the policy decides what is too long for a password


def read_password(*, from_stdin: bool) -> str:
    """The first line of stdin, or what is typed twice at a terminal.

    Raises:
        ConfigurationError: there is no terminal, the two differ, or stdin is not UTF-8.
    """
    return _from_stdin() if from_stdin else _from_terminal()


def _from_stdin() -> str:
    line = sys.stdin.buffer.readline(_LONGEST_LINE)
    try:
        return line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigurationError("the password on stdin is not UTF-8") from None


def _from_terminal() -> str:
    if not sys.stdin.isatty():
        raise ConfigurationError("there is no terminal to ask for a password: use --password-stdin")
    password = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != password:
        raise ConfigurationError("the two passwords differ")
    return password
