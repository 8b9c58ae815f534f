"""Reference implementations for the fuzz targets: the standard library's JSON parser, and strict comparisons."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec


def read(data: bytes) -> Any:
    """Parses with the standard library, which is lenient only in points that the targets check themselves."""
    return json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name occurs twice")
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def is_same(left: Any, right: Any) -> bool:
    """Compares values and types at every depth: 1 equals neither 1.0 nor true."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(is_same(left[name], right[name]) for name in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(is_same, left, right))
    return bool(left == right)


def depth(value: Any) -> int:
    """Counts the levels of nesting without recursion."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        each, level = waiting.pop()
        if isinstance(each, dict | list):
            deepest = max(deepest, level)
            waiting += [(member, level + 1) for member in (each.values() if isinstance(each, dict) else each)]
    return deepest


def plain(value: Any) -> Any:
    """Converts frozen structures back to dicts and lists."""
    if isinstance(value, msgspec.Struct):
        return plain({name: member for name, member in msgspec.structs.asdict(value).items() if member is not None})
    if isinstance(value, Mapping):
        return {name: plain(member) for name, member in value.items()}
    return [plain(member) for member in value] if isinstance(value, tuple | list) else value
