"""Opaque tokens: refresh tokens, device tokens, client secrets and all single-use tokens.

A token is a prefix for its purpose (``ostiary_refresh_``), 64 hex digits (256 random bits) and 8 hex digits (the CRC-32
of purpose and random part). With prefix and checksum, secret scanners can recognise a leaked token offline, and a
mistyped or truncated token is refused without a database query. Only the SHA-256 hash is stored. With 256 random bits,
salt and stretching would add nothing.
"""

import binascii
import hashlib
import re
from enum import StrEnum
from typing import Final, NamedTuple

from ostiary.core.entropy import Random

_SIZE: Final = 32  # bytes: 256 bits cannot be guessed
_FORM: Final = re.compile(r"ostiary_([a-z]+)_([0-9a-f]{64})([0-9a-f]{8})")


class Purpose(StrEnum):
    """The purpose of a token. A token for one purpose is malformed for all others."""

    REFRESH = "refresh"
    ATTEMPT = "attempt"
    VERIFY = "verify"
    CLIENT = "client"
    DEVICE = "device"
    DISOWN = "disown"


class NewToken(NamedTuple):
    """The token for the client, and the hash that is stored."""

    text: str
    fingerprint: bytes


def new_token(purpose: Purpose, random: Random) -> NewToken:
    secret = random.token(_SIZE).hex()
    text = f"ostiary_{purpose}_{secret}{_checksum(purpose, secret)}"
    return NewToken(text, _hashed(text))


def fingerprint(token: str, purpose: Purpose) -> bytes | None:
    """The hash that is stored and looked up. None if the text does not have the form of a token for this purpose."""
    form = _FORM.fullmatch(token)
    if form is None or form[1] != purpose or form[3] != _checksum(purpose, form[2]):
        return None
    return _hashed(token)


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _checksum(purpose: Purpose, secret: str) -> str:
    return f"{binascii.crc32(f'{purpose}_{secret}'.encode()):08x}"
