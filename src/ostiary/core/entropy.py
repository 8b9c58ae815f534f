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


_IDENTIFIER_SIZE: Final = 16


def identifier(prefix: str, random: Random) -> str:
    """A new id for a row: a prefix such as ``acc_`` and 128 random bits as 26 lower-case letters and digits. Not a
    secret."""
    return f"{prefix}_{base64.b32encode(random.token(_IDENTIFIER_SIZE)).decode().rstrip('=').lower()}"
