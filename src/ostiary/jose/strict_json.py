"""Strict JSON: UTF-8, unique names, finite numbers, bounded depth (RFC 8725bis §3.7, RFC 7515 §4).

The fast path reads the JSON with msgspec and writes it again. If the bytes are the same, the JSON has no repeated name,
no unusual encoding and no second spelling. Everything else takes the slow path, which checks each rule.
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
# An unterminated string matches up to the end of the text. Otherwise the search would start again at each quote in it,
# which takes quadratic time.
_STRINGS: Final = re.compile(rb'"(?:[^"\\]++|\\.?)*+(?:"|\Z)', re.DOTALL)
_LONGEST_NUMBER: Final = 100
"""Digits in a row, outside strings. Python takes quadratic time to read a number."""
_LONG_NUMBER: Final = re.compile(rb"[0-9]{%d}" % (_LONGEST_NUMBER + 1))
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def loads_object(data: bytes) -> dict[str, Any]:
    """Reads one JSON object without white space around it.

    Raises:
        ValueError: ``data`` is not one object in strict UTF-8 JSON with unique names and finite numbers.
    """
    if data[:1] != b"{" or data[-1:] != b"}":
        raise ValueError("not a JSON object, or there is other text around it")
    value: dict[str, Any] = loads(data)
    return value


def loads(data: bytes) -> Any:
    """Reads one JSON value, with or without white space around it. Raises ValueError as `loads_object`."""
    if _is_too_deep(data):
        raise ValueError(f"the JSON is nested more than {MAX_DEPTH} levels deep")
    if _has_long_number(data):
        raise ValueError(f"the JSON has a number of more than {_LONGEST_NUMBER} digits")
    try:
        value = _read(data)
        if dumps(value) == data:
            return value
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass  # the slow path finds the error, or accepts what msgspec is too strict about
    return _loads_checking_each_rule(data)


def _loads_checking_each_rule(data: bytes) -> Any:
    try:
        # json.loads(bytes) would guess UTF-16 and UTF-32 and skip a byte order mark
        text = data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
        dumps(value)  # fails for a lone surrogate, which UTF-8 cannot encode
    except RecursionError:
        raise ValueError(f"the JSON is nested more than {MAX_DEPTH} levels deep") from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice in a JSON object")
    return members


def _no_constant(_name: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a JSON number is too large")
    return number


def _has_long_number(data: bytes) -> bool:
    return _LONG_NUMBER.search(data) is not None and _LONG_NUMBER.search(_STRINGS.sub(b"", data)) is not None


def _is_too_deep(data: bytes) -> bool:
    """Whether brackets nest deeper than `MAX_DEPTH`. Takes linear time and does not recurse."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _STRINGS.sub(b"", data).translate(None, delete=_NO_BRACKETS):
        if bracket in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        else:
            depth -= 1
    return False
