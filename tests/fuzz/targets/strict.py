"""Any bytes as JSON: accepted is what the standard library reads in the same way, and nothing ambiguous."""

import json
import re

from ostiary.jose import strict_json
from tests.fuzz import others


def check(data: bytes) -> None:
    try:
        value = strict_json.loads(data)
    except ValueError:
        _must_be_bad(data)
        return
    assert others.is_same(value, others.read(data))
    assert others.depth(value) <= strict_json.MAX_DEPTH
    again = strict_json.dumps(value)
    assert others.is_same(strict_json.loads(again), value)


def _must_be_bad(data: bytes) -> None:
    """A refusal has a reason that others see too: so that nobody's good JSON is refused."""
    try:
        value = others.read(data)
        written = json.dumps(value, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return
    surrogates = re.search(rb"\\ud[89a-f]", written)
    too_long = any(len(digits) > 15 for digits in re.findall(rb"[0-9]+", data))
    assert surrogates or too_long or others.depth(value) > strict_json.MAX_DEPTH, "good JSON was refused"
