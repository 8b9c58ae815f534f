"""Turns errors into a line on stderr and an exit code. No other module does this."""

import traceback
from json import dumps
from pathlib import Path
from typing import Final, NamedTuple

from cyclopts import CycloptsError, UnusedCliTokensError

from ostiary.cli.output import visible
from ostiary.errors import ConfigurationError, OstiaryError, PasswordRejected, Unavailable

REFUSED: Final = 1
"""The command was understood and refused: an unknown account, a password that is too weak."""

UNUSABLE: Final = 2
"""The command could not start: a bad argument or setting, an unreachable server."""


class Refusal(NamedTuple):
    reason: str
    code: int

    def told(self, *, json: bool) -> str:
        """A line for people, or an object for programs."""
        return dumps({"error": self.reason}) if json else f"ostiary: {self.reason}"


def refusal(problem: Exception) -> Refusal:
    """One line and the exit code. The operator may see details that a caller over HTTP may not."""
    return Refusal(visible(" ".join(_words(problem).split())), _code(problem))


def _words(problem: Exception) -> str:
    if isinstance(problem, PasswordRejected):
        return f"the password is refused: {' '.join(problem.reasons)}"
    if isinstance(problem, UnusedCliTokensError):
        unexpected = problem.unused_tokens or []
        return f"unexpected argument{'s' if len(unexpected) > 1 else ''}: {', '.join(unexpected)}"
    if isinstance(problem, OstiaryError | CycloptsError):
        return str(problem)
    # a bug: its location is enough, and its message may contain a secret
    return f"internal error: {type(problem).__name__} {_place(problem)}"


def _code(problem: Exception) -> int:
    known_refusal = isinstance(problem, OstiaryError) and not isinstance(problem, ConfigurationError | Unavailable)
    return REFUSED if known_refusal else UNUSABLE


def _place(problem: Exception) -> str:
    frames = traceback.extract_tb(problem.__traceback__)
    return f"at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "at an unknown place"
