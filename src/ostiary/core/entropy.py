"""Where the randomness of ids, tokens, salts and nonces comes from. Beside it, only the secret file and the names of
mails are drawn, from the system itself."""

import base64
import secrets
from typing import Final, Protocol


class Random(Protocol):
    def token(self, size: int) -> bytes:
        """``size`` bytes that nobody can guess."""


class SystemRandom:
    def token(self, size: int) -> bytes:
        return secrets.token_bytes(size)


_IDENTIFIER_SIZE: Final = 16


def identifier(prefix: str, random: Random) -> str:
    """A new name for a row: ``acc_`` and 128 random bits as 26 lower-case letters and digits. Not a secret."""
    return f"{prefix}_{base64.b32encode(random.token(_IDENTIFIER_SIZE)).decode().rstrip('=').lower()}"
