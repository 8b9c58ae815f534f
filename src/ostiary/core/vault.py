"""Sealing what must not be readable in the database, and one key for each purpose from the master secret.

HKDF-SHA256 (RFC 5869) separates purposes; AES-256-GCM with a random nonce seals. A ciphertext names the secret that
sealed it, so that several secrets can be valid while one is being replaced, and is bound to its row and purpose: moved
to another row it does not open.
"""

from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ostiary.core.entropy import Random
from ostiary.errors import ConfigurationError

_VERSION: Final = b"\x01"
_ID_SIZE: Final = 8
_NONCE_SIZE: Final = 12  # SP 800-38D §8.2.2: random nonces, far below 2^32 seals for one key


class Vault:
    """Holds the master secrets, newest first. The newest seals; all of them open."""

    def __init__(self, secrets: Sequence[bytes], *, random: Random) -> None:
        self._secrets = {_derive(secret, "secret-id")[:_ID_SIZE]: secret for secret in secrets}
        self._newest = next(iter(self._secrets))
        self._random = random

    def __repr__(self) -> str:
        return f"Vault({len(self._secrets)} secrets)"

    def seal(self, plaintext: bytes, *, purpose: str, row: str) -> bytes:
        """``plaintext`` as a ciphertext that only opens for the same ``purpose`` and ``row``."""
        nonce = self._random.token(_NONCE_SIZE)
        cipher = AESGCM(_derive(self._secrets[self._newest], purpose))
        return _VERSION + self._newest + nonce + cipher.encrypt(nonce, plaintext, _bound_to(purpose, row))

    @property
    def newest_prefix(self) -> bytes:
        """What everything begins with that the newest secret has sealed."""
        return _VERSION + self._newest

    def reseal(self, ciphertext: bytes, *, purpose: str, row: str) -> bytes | None:
        """The same plaintext sealed with the newest secret; None where that has sealed it.

        Raises:
            ConfigurationError: as `open`.
        """
        if ciphertext.startswith(self.newest_prefix):
            return None
        return self.seal(self.open(ciphertext, purpose=purpose, row=row), purpose=purpose, row=row)

    def open(self, ciphertext: bytes, *, purpose: str, row: str) -> bytes:
        """The plaintext.

        Raises:
            ConfigurationError: it was sealed with a secret that is not here, for another row or purpose, or is damaged.
        """
        version, rest = ciphertext[:1], ciphertext[1:]
        identifier, rest = rest[:_ID_SIZE], rest[_ID_SIZE:]
        nonce, sealed = rest[:_NONCE_SIZE], rest[_NONCE_SIZE:]
        secret = self._secrets.get(identifier)
        if version != _VERSION or secret is None:
            raise ConfigurationError(
                "the database was sealed with another secret: restore it, or put it after the new one in OSTIARY_SECRET"
            )
        try:
            return AESGCM(_derive(secret, purpose)).decrypt(nonce, sealed, _bound_to(purpose, row))
        except (InvalidTag, ValueError):  # ValueError: cut off within the nonce
            raise ConfigurationError(f"a sealed value for {purpose} is damaged or was moved") from None


def _derive(secret: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"ostiary/" + purpose.encode()).derive(secret)


def _bound_to(purpose: str, row: str) -> bytes:
    return purpose.encode() + b"\x00" + row.encode()
