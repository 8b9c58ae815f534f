"""Checks parameters in one place, so that no engine accepts what the other refuses."""

from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any, Final

from ostiary.store.database import Value

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1


def checked(args: Sequence[Value]) -> list[Value]:
    """The parameters, each as a plain str, bytes, int or None.

    Raises:
        ValueError: a parameter cannot be stored. The message never quotes it, because it may be a secret.
    """
    return [_CHECKS.get(type(value), _unusual)(value) for value in args]


def _unusual(value: object) -> Value:
    """Converts a value of a subclass, such as an enumeration: the engines would store its value, not its text."""
    if isinstance(value, str):
        return _text(str.__str__(value))
    if isinstance(value, int):
        return _integer(int(value))
    raise ValueError(f"a {type(value).__name__} cannot be a parameter: use text, bytes, an integer or None")


def _text(value: str) -> str:
    # PostgreSQL does not allow NUL in text. SQLite would store it, but its own functions stop reading there.
    if "\0" in value:
        raise ValueError("a text parameter contains a NUL character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("a text parameter contains a surrogate, which is not a character") from None
    return value


def _integer(value: int) -> int:
    if not INT64_MIN <= value <= INT64_MAX:
        raise ValueError("an integer parameter does not fit into 64 bits")
    return value


def _as_it_is(value: Value) -> Value:
    return value


# only one lookup for each value, because every statement pays for it
_CHECKS: Final[Mapping[type, Callable[[Any], Value]]] = {
    str: _text,
    int: _integer,
    bytes: _as_it_is,
    NoneType: _as_it_is,
}
