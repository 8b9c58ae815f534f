"""The signing keys: made once, sealed in the database, read into memory when the process opens."""

from typing import Final

import msgspec

from ostiary.core.tokens import queries
from ostiary.core.vault import Vault
from ostiary.errors import Unavailable
from ostiary.jose import KeySet, SigningKey
from ostiary.store.database import Database, Transaction

_ALGORITHM: Final = "ES256"
_PURPOSE: Final = "signing-key"
_CURRENT: Final = "current"


class SigningKeys:
    """The current key signs; every published key verifies. Empty until `load` has run."""

    def __init__(self) -> None:
        self._current: SigningKey | None = None
        self._published = KeySet()

    @property
    def current(self) -> SigningKey:
        if self._current is None:
            raise Unavailable("the signing keys are not loaded")
        return self._current

    @property
    def published(self) -> KeySet:
        return self._published

    async def load(self, database: Database, vault: Vault, *, now: int) -> None:
        """Reads the keys, and makes the first one where there is none. Safe when several processes do it at once.

        Raises:
            ConfigurationError: the master secret is not the one that sealed them.
        """
        rows = await queries.signing_keys(database)
        if not any(row[2] == _CURRENT for row in rows):
            await _make_first(database, vault, now=now)
            rows = await queries.signing_keys(database)
        keys = {row[0]: _unseal(vault, row[0], row[3]) for row in rows}
        self._current = next(keys[row[0]] for row in rows if row[2] == _CURRENT)
        self._published = KeySet(key.public for key in keys.values())


async def _make_first(database: Database, vault: Vault, *, now: int) -> None:
    key = SigningKey.generate(_ALGORITHM)
    public = msgspec.json.encode(key.public.to_jwk()).decode()
    sealed = vault.seal(msgspec.json.encode(key.to_jwk()), purpose=_PURPOSE, row=key.kid)

    async def body(tx: Transaction) -> bool:
        return await queries.insert_current_key(tx, key.kid, _ALGORITHM, public_jwk=public, private_jwk=sealed, now=now)

    await database.transaction(body)


def _unseal(vault: Vault, kid: str, sealed: bytes) -> SigningKey:
    return SigningKey.from_jwk(msgspec.json.decode(vault.open(sealed, purpose=_PURPOSE, row=kid)))
