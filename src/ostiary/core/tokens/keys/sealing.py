"""The content of a key's row: its private JWK while it may sign, afterwards its public JWK, always sealed.

The public part is sealed as well, because a trusted key can sign tokens for any account. An attacker who can write to
the database but does not have the master secret must not be able to add a key.
"""

from typing import Final, TypeAlias

import msgspec

from ostiary.core.tokens.keys.model import KeyRecord, State
from ostiary.core.vault import Vault
from ostiary.errors import ConfigurationError
from ostiary.jose import SigningKey, VerifyingKey

_PRIVATE: Final = "signing-key"
_PUBLIC: Final = "retired-key"  # a separate purpose, so that one cannot be passed off as the other

Opened: TypeAlias = SigningKey | VerifyingKey


def seal_private(vault: Vault, key: SigningKey) -> bytes:
    return vault.seal(msgspec.json.encode(key.to_jwk()), purpose=_PRIVATE, row=key.kid)


def seal_public(vault: Vault, key: VerifyingKey) -> bytes:
    return vault.seal(msgspec.json.encode(key.to_jwk()), purpose=_PUBLIC, row=key.kid)


def unseal(vault: Vault, record: KeyRecord) -> Opened:
    """The key pair while it may sign, afterwards only the public key.

    Raises:
        ConfigurationError: the content was sealed with a secret that this process does not have, is damaged, or was
            copied from another row.
    """
    if record.sealed is None:
        raise ConfigurationError(f"the row of signing key {record.kid} holds no key")
    jwk = msgspec.json.decode(vault.open(record.sealed, purpose=_purpose(record), row=record.kid))
    key: Opened = (VerifyingKey if record.state is State.RETIRED else SigningKey).from_jwk(jwk)
    if (key.kid, key.alg) != (record.kid, record.alg):
        raise ConfigurationError(f"the row of signing key {record.kid} holds another key")
    return key


def public(key: Opened) -> VerifyingKey:
    return key.public if isinstance(key, SigningKey) else key


def reseal(vault: Vault, record: KeyRecord) -> bytes | None:
    """The same content, sealed with the newest secret. None if it already is, or if there is no content.

    Raises:
        ConfigurationError: see `unseal`.
    """
    if record.sealed is None:
        return None
    return vault.reseal(record.sealed, purpose=_purpose(record), row=record.kid)


def _purpose(record: KeyRecord) -> str:
    return _PUBLIC if record.state is State.RETIRED else _PRIVATE
