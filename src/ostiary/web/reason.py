"""Describes a validation error of msgspec without values from the caller.

Messages of msgspec may quote values ("Invalid enum value 'hunter2'"), so only known parts of them are used.
"""

import re
from typing import Final

_FIELD: Final = re.compile(r"Object (missing required|contains unknown) field `([A-Za-z0-9_-]{1,64})`")
_EXPECTED: Final = re.compile(r"Expected ([^'\"]+?)(?:, got [a-z` ]+)?(?: - at `.*`)?")
_PLACE: Final = re.compile(r".* - at `\$\.?([A-Za-z0-9_.\[\]-]{1,128})`", re.DOTALL)


def reason(problem: str, *, whole: str) -> str:
    """A sentence that names the field. ``whole`` is what contains the fields, such as ``the body``."""
    place = _PLACE.fullmatch(problem)
    where = f"`{place[1]}`" if place else whole
    if field := _FIELD.match(problem):
        what = "is missing" if field[1] == "missing required" else "is not a known field"
        return f"`{field[2]}` {what}" + (f", in {where}" if place else "")
    if expected := _EXPECTED.fullmatch(problem):
        return f"{where} must be {expected[1]}"
    return f"{where} has a value that is not accepted"
