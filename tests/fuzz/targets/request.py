"""Any body for any route: what is accepted can be stored, and no refusal repeats what was sent."""

import json
import re
from typing import Final

import msgspec

from ostiary import Ostiary
from ostiary.errors import InvalidBody, MalformedJson
from ostiary.web import body

_SHAPES: Final = sorted({route.body for route in Ostiary("sqlite:///never-opened.db").routes}, key=lambda s: s.__name__)
_REASON: Final = re.compile(r"[\x20-\x7e≤≥]*")


def check(data: bytes) -> None:
    for shape in _SHAPES:
        try:
            read = body.parse(data, shape)
        except MalformedJson:
            return
        except InvalidBody as refused:
            _must_be_ours(refused.reason)
            continue
        assert isinstance(read, shape)
        assert b"\\u0000" not in json.dumps(msgspec.to_builtins(read)).encode()


def _must_be_ours(reason: str) -> None:
    assert _REASON.fullmatch(reason)
