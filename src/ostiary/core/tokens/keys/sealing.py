"""What stands in a key's row: its private JWK while it may sign, afterwards its public one, always sealed.

The public part is sealed as well, because a key that is believed signs for everybody: whoever can write to the database
but has no master secret must not be able to add one.
"""

from typing import Final, TypeAlias

import msgspec

from ostiary.core.tokens.keys.model import KeyRecord, State
from ostiary.core.vault import Vault
from ostiary.errors import ConfigurationError
from ostiary.jose import SigningKey, VerifyingKey

_PRIVATE: Final = "signing-key"
_PUBLIC: Final = "retired-key"  # another purpose: one cannot be passed off as the other

Opened: TypeAlias = SigningKey | VerifyingKey


def seal_private(vault: Vault, key: SigningKey) -> bytes:
    return vault.seal(msgspec.json.encode(key.to_jwk()), purpose=_PRIVATE, row=key.kid)


def seal_public(vault: Vault, key: VerifyingKey) -> bytes:
    return vault.seal(msgspec.json.encode(key.to_jwk()), purpose=_PUBLIC, row=key.kid)


def unseal(vault: Vault, record: KeyRecord) -> Opened:
    """The key: the whole one while it may sign, then the public one.

    Raises:
        ConfigurationError: sealed with a secret that is not here, damaged, or moved here from another row.
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
    """The same, sealed with the newest secret; None where it is already, or where nothing is.

    Raises:
        ConfigurationError: as `unseal`.
    """
    if record.sealed is None:
        return None
    return vault.reseal(record.sealed, purpose=_purpose(record), row=record.kid)


def _purpose(record: KeyRecord) -> str:
    return _PUBLIC if record.state is State.RETIRED else _PRIVATE
