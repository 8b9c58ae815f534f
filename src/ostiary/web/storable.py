"""Refuses values that the database cannot store, before they are used in a query."""

from typing import Any, Final

_INT64: Final = 1 << 63  # columns cannot store larger numbers
_NUL: Final = "\0"  # PostgreSQL cannot store it in text


def unstorable(value: Any) -> str | None:
    """Why the value, or one inside it, cannot be stored. None if everything can."""
    if isinstance(value, str):
        return "a string has a NUL character" if _NUL in value else None
    if isinstance(value, int):
        return None if -_INT64 <= value < _INT64 else "a number is too large"
    inner: list[Any] = []
    if isinstance(value, dict):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, list):
        inner = value
    return next(filter(None, map(unstorable, inner)), None)
