"""The keys that this process signs and verifies with, in memory."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ostiary.core.clock import Clock
from ostiary.core.tokens.keys import queries
from ostiary.core.tokens.keys.model import PUBLISHED, KeyRecord, State, Timing, in_state, may_still_sign
from ostiary.core.tokens.keys.sealing import Opened, public, unseal
from ostiary.core.vault import Vault
from ostiary.errors import ConfigurationError, Unavailable
from ostiary.jose import KeySet, SigningKey, VerifyingKey
from ostiary.store.database import Database
from ostiary.verifier import Verifier

_LOG: Final = logging.getLogger("ostiary")


class SigningKeys:
    """The current key signs; every published key verifies. Empty until `refresh`.

    This is the only place that passes key changes to the verifier. A key that is no longer published verifies nothing,
    not even a token that was verified before.
    """

    def __init__(self, database: Database, vault: Vault, verifier: Verifier, *, clock: Clock, timing: Timing) -> None:
        self._database = database
        self._vault = vault
        self._verifier = verifier
        self._clock = clock
        self._timing = timing
        self._known: dict[str, Opened] = {}
        self._signing: SigningKey | None = None
        self._published = KeySet()
        self._revoked: set[str] = set()
        self._unreadable: set[str] = set()

    @property
    def current(self) -> SigningKey:
        if self._signing is None:
            raise Unavailable("this process has no key that it may sign with")
        return self._signing

    @property
    def published(self) -> KeySet:
        return self._published

    async def refresh(self) -> None:
        """Reads the keys again. A key that cannot be unsealed is logged and skipped. A process without the newest
        master secret keeps working with the keys it has, as long as other processes accept its signatures."""
        self._take(await queries.every(self._database))

    def drop(self, kid: str) -> None:
        """Drops a revoked key. From now on it signs and verifies nothing, even if a read of older rows is in
        progress."""
        self._revoked.add(kid)
        self._known.pop(kid, None)
        if self._signing is not None and self._signing.kid == kid:
            self._signing = None
        self._publish(map(public, self._known.values()))

    def _take(self, records: Sequence[KeyRecord]) -> None:
        published = [key for key in records if key.state in PUBLISHED and key.kid not in self._revoked]
        # a kid is the thumbprint of the key, so the key behind a known kid cannot have changed
        read = {key.kid: self._known.get(key.kid) or self._read(key) for key in published}
        known = {kid: key for kid, key in read.items() if key is not None}
        self._signing = self._choose(published, known)
        # this also forgets the private part of a retired key
        self._known = {key.kid: _kept(known[key.kid], key.state) for key in published if key.kid in known}
        self._publish(map(public, self._known.values()))

    def _choose(self, records: Sequence[KeyRecord], known: Mapping[str, Opened]) -> SigningKey | None:
        current = in_state(records, State.CURRENT)
        readable = known.get(current.kid) if current is not None else None
        if isinstance(readable, SigningKey):
            return readable
        held = self._signing
        record = next((record for record in records if held is not None and record.kid == held.kid), None)
        return held if record is not None and may_still_sign(record, self._clock.now(), self._timing) else None

    def _read(self, record: KeyRecord) -> Opened | None:
        try:
            key = unseal(self._vault, record)
        except ConfigurationError as problem:
            if record.kid not in self._unreadable:  # log once: this runs every few seconds
                fields = {"kid": record.kid, "state": str(record.state), "reason": problem.detail}
                _LOG.error("signing_keys.unreadable", extra=fields)
                self._unreadable.add(record.kid)
            return None
        self._unreadable.discard(record.kid)
        return key

    def _publish(self, keys: Iterable[VerifyingKey]) -> None:
        replacing = KeySet(keys)
        if [key.kid for key in replacing] != [key.kid for key in self._published]:
            self._published = replacing
            self._verifier.replace_keys(replacing)


def _kept(key: Opened, state: State) -> Opened:
    return public(key) if state is State.RETIRED else key
