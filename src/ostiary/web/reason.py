"""What msgspec found wrong, without values from the caller.

Its own messages may quote what was sent ("Invalid enum value 'hunter2'"), so only known parts of them are passed on.
"""

import re
from typing import Final

_FIELD: Final = re.compile(r"Object (missing required|contains unknown) field `([A-Za-z0-9_-]{1,64})`")
_EXPECTED: Final = re.compile(r"Expected ([^'\"]+?)(?:, got [a-z` ]+)?(?: - at `.*`)?")
_PLACE: Final = re.compile(r".* - at `\$\.?([A-Za-z0-9_.\[\]-]{1,128})`", re.DOTALL)


def reason(problem: str, *, whole: str) -> str:
    """``whole`` is what contains the fields: ``the body``."""
    place = _PLACE.fullmatch(problem)
    where = f"`{place[1]}`" if place else whole
    if field := _FIELD.match(problem):
        what = "is missing" if field[1] == "missing required" else "is not a field here"
        return f"`{field[2]}` {what}" + (f", in {where}" if place else "")
    if expected := _EXPECTED.fullmatch(problem):
        return f"{where} must be {expected[1]}"
    return f"{where} is not accepted as it is"
