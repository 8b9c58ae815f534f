"""Opaque tokens: everything single-use that travels, and refresh tokens.

``ostiary_refresh_`` (what it is for), 64 hex digits (256 random bits) and 8 hex digits (their CRC-32). The prefix and
checksum let secret scanners find a leaked one without asking, and a mistyped or cut one is refused without asking the
database. Only the SHA-256 is stored: with 256 random bits behind it, salt and stretching would add nothing.
"""

import binascii
import hashlib
import re
from enum import StrEnum
from typing import Final, NamedTuple

from ostiary.core.entropy import Random

_SIZE: Final = 32  # bytes: nobody guesses 256 bits
_FORM: Final = re.compile(r"ostiary_([a-z]+)_([0-9a-f]{64})([0-9a-f]{8})")


class Purpose(StrEnum):
    """What a token is for. A token for one purpose is malformed for every other one."""

    REFRESH = "refresh"
    ATTEMPT = "attempt"
    VERIFY = "verify"
    CLIENT = "client"
    DEVICE = "device"
    DISOWN = "disown"


class NewToken(NamedTuple):
    """A token to hand out, and what is stored of it."""

    text: str
    fingerprint: bytes


def new_token(purpose: Purpose, random: Random) -> NewToken:
    secret = random.token(_SIZE).hex()
    text = f"ostiary_{purpose}_{secret}{_checksum(purpose, secret)}"
    return NewToken(text, _hashed(text))


def fingerprint(token: str, purpose: Purpose) -> bytes | None:
    """What is stored and looked up, or None when this cannot be one of our tokens for the purpose."""
    form = _FORM.fullmatch(token)
    if form is None or form[1] != purpose or form[3] != _checksum(purpose, form[2]):
        return None
    return _hashed(token)


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _checksum(purpose: Purpose, secret: str) -> str:
    return f"{binascii.crc32(f'{purpose}_{secret}'.encode()):08x}"
