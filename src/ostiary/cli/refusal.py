"""The one place where an error becomes a line on stderr and an exit code."""

import traceback
from json import dumps
from pathlib import Path
from typing import Final, NamedTuple

from cyclopts import CycloptsError, UnusedCliTokensError

from ostiary.cli.output import visible
from ostiary.errors import ConfigurationError, OstiaryError, PasswordRejected, Unavailable

REFUSED: Final = 1
"""Understood, and not done: an unknown account, a password that is too weak."""

UNUSABLE: Final = 2
"""Could not begin: a bad argument or setting, a server that is away."""


class Refusal(NamedTuple):
    reason: str
    code: int

    def told(self, *, json: bool) -> str:
        """A line for people, or an object for programs."""
        return dumps({"error": self.reason}) if json else f"ostiary: {self.reason}"


def refusal(problem: Exception) -> Refusal:
    """One line for the operator, who may read what a caller over HTTP may not, and the exit code."""
    return Refusal(visible(" ".join(_words(problem).split())), _code(problem))


def _words(problem: Exception) -> str:
    if isinstance(problem, PasswordRejected):
        return f"the password is refused: {' '.join(problem.reasons)}"
    if isinstance(problem, UnusedCliTokensError):
        unexpected = problem.unused_tokens or []
        return f"unexpected argument{'s' if len(unexpected) > 1 else ''}: {', '.join(unexpected)}"
    if isinstance(problem, OstiaryError | CycloptsError):
        return str(problem)
    # a defect: its place says enough, and its message may quote a secret
    return f"internal error: {type(problem).__name__} {_place(problem)}"


def _code(problem: Exception) -> int:
    known_refusal = isinstance(problem, OstiaryError) and not isinstance(problem, ConfigurationError | Unavailable)
    return REFUSED if known_refusal else UNUSABLE


def _place(problem: Exception) -> str:
    frames = traceback.extract_tb(problem.__traceback__)
    return f"at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "somewhere"
