"""Where randomness comes from. Nothing else in core draws any."""

import secrets
from typing import Protocol


class Random(Protocol):
    def token(self, size: int) -> bytes:
        """``size`` bytes that nobody can guess."""


class SystemRandom:
    def token(self, size: int) -> bytes:
        return secrets.token_bytes(size)
