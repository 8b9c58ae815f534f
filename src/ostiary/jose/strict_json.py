"""JSON with one reading only: UTF-8, unique names, finite numbers, bounded depth (RFC 8725bis §3.7, RFC 7515 §4).

The fast way is a proof by writing: what msgspec reads and then writes again to the same bytes can have no repeated
name, no odd encoding and no second spelling. Everything else takes the slow way, where each rule is checked.
"""

import json
import math
import re
from typing import Any, Final

import msgspec

MAX_DEPTH: Final = 16

dumps: Final = msgspec.json.Encoder().encode
"""Compact JSON as bytes, names in the order given."""

_read: Final = msgspec.json.Decoder().decode
# Also one that never ends, up to the end: otherwise each quote in it would be tried as a beginning, in quadratic time.
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.?)*+(?:"|\Z)', re.DOTALL)


def loads_object(data: bytes) -> dict[str, Any]:
    """The JSON object that ``data`` is, from the first brace to the last: no white space around it.

    Raises:
        ValueError: anything but one object in strict UTF-8 JSON with unique names and finite numbers.
    """
    if data[:1] != b"{" or data[-1:] != b"}":
        raise ValueError("not an object, or something stands around it")
    value: dict[str, Any] = loads(data)
    return value


def loads(data: bytes) -> Any:
    """The JSON value in ``data``, with or without white space around it. Raises ValueError as `loads_object`."""
    if _is_too_deep(data):
        raise ValueError("JSON nested too deeply")
    try:
        value = _read(data)
        if dumps(value) == data:
            return value
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass  # the slow way says what is wrong, or that msgspec is only stricter about spelling
    return _loads_checking_each_rule(data)


def _loads_checking_each_rule(data: bytes) -> Any:
    try:
        # json.loads(bytes) would guess UTF-16 and UTF-32 and skip a byte order mark
        text = data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
        dumps(value)  # fails for a lone surrogate, which no UTF-8 can carry
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _no_constant(_name: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number overflows")
    return number


def _is_too_deep(data: bytes) -> bool:
    """Whether brackets nest beyond `MAX_DEPTH`. In linear time, and without the recursion that is to be prevented."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for byte in _STRINGS.sub(b"", data):
        if byte in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif byte in b"]}":
            depth -= 1
    return False
