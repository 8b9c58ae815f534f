"""The source of randomness for ids, tokens, salts and nonces. Only the secret file and the Message-IDs of mails use the
operating system's randomness directly."""

import base64
import secrets
from typing import Final, Protocol


class Random(Protocol):
    def token(self, size: int) -> bytes:
        """``size`` unpredictable bytes."""


class SystemRandom:
    def token(self, size: int) -> bytes:
        return secrets.token_bytes(size)


IDENTIFIER_SIZE: Final = 16  # bytes


def identifier(prefix: str, random: Random) -> str:
    """A new id for a row: a prefix such as ``acc_`` and 128 random bits as 26 lower-case letters and digits. Not a
    secret."""
    return identifier_of(prefix, random.token(IDENTIFIER_SIZE))


def identifier_of(prefix: str, raw: bytes) -> str:
    """The id with these 16 bytes."""
    return f"{prefix}_{base64.b32encode(raw).decode().rstrip('=').lower()}"


def bytes_of(identifier: str) -> bytes:
    """The 16 bytes of an id."""
    return base64.b32decode(f"{identifier.rpartition('_')[2].upper()}======")
