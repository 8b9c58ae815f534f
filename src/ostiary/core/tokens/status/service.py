"""Assigns a bit to the access tokens of a session, and sets single bits."""

from typing import Final

from ostiary.core.clock import MICROSECONDS
from ostiary.core.plug import Ambient
from ostiary.core.revocations import status_set
from ostiary.core.sessions import queries as sessions
from ostiary.core.sessions.model import Session, Slot
from ostiary.core.tokens.settings import TokenSettings
from ostiary.core.tokens.status import queries
from ostiary.store.database import Transaction
from ostiary.store.feed import Entry

_TRIES: Final = 16
"""Random indexes that are tried before a new list is created. With a million entries, that happens when a list is about
half full."""

_AFTER_THE_LAST_TOKEN: Final = 3600
"""Seconds for which a slot stays taken after the last token that carries it. This covers slow clocks and cached
copies."""


async def slot_for(ambient: Ambient, tx: Transaction, session: Session, *, ver: int) -> Slot | None:
    """The slot for the access tokens of a session. It stays the same within an epoch; a new epoch gets a new random
    slot. None if status lists are off. The caller holds the lock on the session row."""
    if not ambient.settings.of(TokenSettings).status_lists:
        return None
    if session.slot is not None and session.slot.ver == ver:
        return session.slot
    slot = await _take(ambient, tx, session, ver=ver)
    await sessions.keep_slot(tx, session.id, slot)
    return slot


async def refuse_slot(tx: Transaction, number: int, index: int, *, now: int) -> Entry:
    """Sets the bit of one slot and returns the entry to append to the feed. The slot stays reserved while the entry
    exists. Otherwise the tokens of its next session would be refused from the start."""
    entry = status_set(number, index, now=now)
    await queries.keep(tx, number, index, until=entry.until + _AFTER_THE_LAST_TOKEN * MICROSECONDS)
    return entry


async def sweep(tx: Transaction, now: int) -> int:
    """Frees expired slots and removes lists that are no longer needed."""
    freed = await queries.delete_expired(tx, now)
    # long after a newer list was created, so that no transaction can still take a slot of the older one
    return freed + await queries.delete_empty(tx, opened_before=now - _AFTER_THE_LAST_TOKEN * MICROSECONDS)


async def _take(ambient: Ambient, tx: Transaction, session: Session, *, ver: int) -> Slot:
    until = session.expires_at + _AFTER_THE_LAST_TOKEN * MICROSECONDS
    number = await queries.newest_list(tx)
    while True:
        for _ in range(_TRIES):
            slot = Slot(number, _random_index(ambient), ver)
            if await queries.take(tx, slot, session, until=until):
                return slot
        number += 1
        await queries.open_list(tx, number, now=ambient.now())


def _random_index(ambient: Ambient) -> int:
    return int.from_bytes(ambient.random.token(4), "big") % ambient.status_lists.size  # unbiased: a power of two
