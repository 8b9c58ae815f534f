"""Encryption of values that must not be readable in the database, with one key per purpose from the master secret.

HKDF-SHA256 (RFC 5869) derives a key for each purpose. AES-256-GCM with a random nonce encrypts. A ciphertext contains
the id of the secret that sealed it, so that several secrets can be valid during a rotation. It is bound to its row and
purpose: if it is copied to another row, it does not open.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ostiary.core.entropy import Random
from ostiary.errors import ConfigurationError

_VERSION: Final = b"\x01"
SECRET_ID_SIZE: Final = 8
"""Bytes of the id of a master secret."""

_NONCE_SIZE: Final = 12  # SP 800-38D §8.2.2: random nonces, far below 2^32 seals for one key


class Vault:
    """The master secrets, newest first. The newest one seals. All of them open."""

    def __init__(self, secrets: Sequence[bytes], *, random: Random) -> None:
        self._secrets = {_derive(secret, "secret-id")[:SECRET_ID_SIZE]: secret for secret in secrets}
        self._newest = next(iter(self._secrets))
        self._random = random
        self._salts: dict[tuple[bytes, str], bytes] = {}
        self._keys: dict[str, Mapping[bytes, bytes]] = {}

    def __repr__(self) -> str:
        return f"Vault({len(self._secrets)} secrets)"

    def keys(self, purpose: str) -> Mapping[bytes, bytes]:
        """A key of 256 bits for ``purpose`` from each secret, by the id of the secret, the newest first."""
        keys = self._keys.get(purpose)
        if keys is None:
            keys = self._keys[purpose] = {name: _derive(secret, purpose) for name, secret in self._secrets.items()}
        return keys

    def seal(self, plaintext: bytes, *, purpose: str, row: str) -> bytes:
        """Seals ``plaintext``. The ciphertext opens only for the same ``purpose`` and ``row``."""
        nonce = self._random.token(_NONCE_SIZE)
        cipher = AESGCM(_derive(self._secrets[self._newest], purpose))
        return _VERSION + self._newest + nonce + cipher.encrypt(nonce, plaintext, _bound_to(purpose, row))

    def seal_for(self, bearer: bytes, plaintext: bytes, *, purpose: str, row: str) -> bytes:
        """Seals ``plaintext``. The ciphertext opens only with a master secret *and* ``bearer``, which has at least 256
        random bits and must not be stored anywhere."""
        nonce = self._random.token(_NONCE_SIZE)
        cipher = AESGCM(self._bearer_key(self._newest, bearer, purpose))
        return _VERSION + self._newest + nonce + cipher.encrypt(nonce, plaintext, _bound_to(purpose, row))

    def open_for(self, bearer: bytes, ciphertext: bytes, *, purpose: str, row: str) -> bytes:
        """Opens a ciphertext of `seal_for`. Raises ConfigurationError like `open`."""
        identifier, nonce, sealed = self._parts(ciphertext)
        return _opened(AESGCM(self._bearer_key(identifier, bearer, purpose)), nonce, sealed, purpose, row)

    def _bearer_key(self, identifier: bytes, bearer: bytes, purpose: str) -> bytes:
        salt = self._salts.get((identifier, purpose))
        if salt is None:
            salt = self._salts[identifier, purpose] = _derive(self._secrets[identifier], purpose)
        return HKDF(algorithm=SHA256(), length=32, salt=salt, info=purpose.encode()).derive(bearer)

    @property
    def newest_prefix(self) -> bytes:
        """The first bytes of everything that the newest secret has sealed."""
        return _VERSION + self._newest

    def reseal(self, ciphertext: bytes, *, purpose: str, row: str) -> bytes | None:
        """The same plaintext, sealed with the newest secret. None if it already is.

        Raises:
            ConfigurationError: see `open`.
        """
        if ciphertext.startswith(self.newest_prefix):
            return None
        return self.seal(self.open(ciphertext, purpose=purpose, row=row), purpose=purpose, row=row)

    def open(self, ciphertext: bytes, *, purpose: str, row: str) -> bytes:
        """The plaintext.

        Raises:
            ConfigurationError: the ciphertext was sealed with a secret that is not configured, or for another row or
                purpose, or it is damaged.
        """
        identifier, nonce, sealed = self._parts(ciphertext)
        return _opened(AESGCM(_derive(self._secrets[identifier], purpose)), nonce, sealed, purpose, row)

    def _parts(self, ciphertext: bytes) -> tuple[bytes, bytes, bytes]:
        version, rest = ciphertext[:1], ciphertext[1:]
        identifier, rest = rest[:SECRET_ID_SIZE], rest[SECRET_ID_SIZE:]
        if version != _VERSION or identifier not in self._secrets:
            raise ConfigurationError(
                "the database was sealed with another secret: restore that secret, or put it after the new one in "
                "OSTIARY_SECRET"
            )
        return identifier, rest[:_NONCE_SIZE], rest[_NONCE_SIZE:]


def _opened(cipher: AESGCM, nonce: bytes, sealed: bytes, purpose: str, row: str) -> bytes:
    try:
        return cipher.decrypt(nonce, sealed, _bound_to(purpose, row))
    except (InvalidTag, ValueError):  # ValueError: truncated within the nonce
        raise ConfigurationError(f"a sealed value for {purpose} is damaged or was moved") from None


def _derive(secret: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"ostiary/" + purpose.encode()).derive(secret)


def _bound_to(purpose: str, row: str) -> bytes:
    return purpose.encode() + b"\x00" + row.encode()
