"""Any bytes as JSON. Accepted input is unambiguous, and the standard library reads it in the same way."""

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
    """Checks that there is a known reason for the rejection, so that valid JSON is not rejected."""
    try:
        value = others.read(data)
        written = json.dumps(value, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return
    surrogates = re.search(rb"\\ud[89a-f]", written)
    too_long = any(len(digits) > 15 for digits in re.findall(rb"[0-9]+", data))
    assert surrogates or too_long or others.depth(value) > strict_json.MAX_DEPTH, "valid JSON was rejected"
