"""Reads a password, but never from the arguments: the process list and shell histories would show it."""

import getpass
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ostiary.errors import ConfigurationError

_LONGEST_LINE: Final = 64 * 1024  # bytes; the password policy has its own, much smaller limit


def read_password(*, from_stdin: bool) -> str:
    """The first line of stdin, or a password that is typed twice at a terminal.

    Raises:
        ConfigurationError: there is no terminal, the two passwords differ, or stdin is not UTF-8.
    """
    return _from_stdin() if from_stdin else _from_terminal()


def _from_stdin() -> str:
    with _interruptible():
        line = sys.stdin.buffer.readline(_LONGEST_LINE)
    try:
        return line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigurationError("the password on stdin is not UTF-8") from None


def _from_terminal() -> str:
    if not sys.stdin.isatty():
        raise ConfigurationError("there is no terminal to ask for a password: use --password-stdin")
    with _interruptible():
        password = getpass.getpass("Password: ")
        again = getpass.getpass("The same again: ")
    if again != password:
        raise ConfigurationError("the two passwords differ")
    return password


@contextmanager
def _interruptible() -> Iterator[None]:
    """Makes Ctrl-C end the command. By default asyncio turns the first Ctrl-C into the cancellation of its task, and
    this has no effect while the task blocks on a read."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
