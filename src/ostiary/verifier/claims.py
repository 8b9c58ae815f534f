"""Typed claims from JSON. Each error names the claim that is wrong, and never quotes its value."""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from ostiary.errors import ClaimRejected

T = TypeVar("T")

# msgspec gives the path of a value, but for a missing claim only its name. Both are names of our own fields.
_PATH: Final = re.compile(r"at `\$\.(\w+)")
_MISSING: Final = re.compile(r"missing required field `(\w+)`")


def convert_claims(claims: Mapping[str, Any], kind: type[T]) -> T:
    """The claims as a ``kind``.

    Raises:
        ClaimRejected: a claim is missing or has the wrong type or value.
    """
    try:
        return msgspec.convert(claims, kind)
    except msgspec.ValidationError as problem:
        raise ClaimRejected(_explained(str(problem))) from None


def check_not_null(claims: Mapping[str, Any]) -> None:
    """Raises ClaimRejected if a claim is null."""
    for name, value in claims.items():
        if value is None:
            raise ClaimRejected(f"{name}: the claim is null")


def check_printable(**ids: str | None) -> None:
    """Raises ClaimRejected if an id has control characters.

    Ids are written to logs. A line break would start a new line there, and an escape sequence would control a terminal.
    """
    for name, value in ids.items():
        if value is not None and not value.isprintable():
            raise ClaimRejected(f"{name}: the id has characters that cannot be printed")


def _explained(problem: str) -> str:
    if wrong := _PATH.search(problem):
        return f"{wrong[1]}: the claim has the wrong type or value"
    missing = _MISSING.search(problem)
    return f"{missing[1]}: the claim is missing" if missing else "the claims are not a JSON object"
