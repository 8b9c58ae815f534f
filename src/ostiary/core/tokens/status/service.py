"""Which bit stands for a session's access tokens, and how one of them is set."""

from typing import Final

from ostiary.core.clock import MICROSECONDS
from ostiary.core.plug import Ambient
from ostiary.core.revocations import status_set
from ostiary.core.sessions import queries as sessions
from ostiary.core.sessions.model import Session, Slot
from ostiary.core.tokens.status import queries
from ostiary.store.database import Transaction
from ostiary.store.feed import Entry

_TRIES: Final = 16
"""Random places that are tried before another list is opened: with a million entries, when one is about half full."""

_AFTER_THE_LAST_TOKEN: Final = 3600
"""Seconds for which a slot stays taken after the last token that carries it: for slow clocks and copies in caches."""


async def slot_for(ambient: Ambient, tx: Transaction, session: Session, *, ver: int) -> Slot | None:
    """The slot of a session's access tokens of one epoch: the same while the epoch lasts, a random one for each new.
    None where there are no status lists. The caller holds the session's row."""
    if not ambient.settings.status_lists:
        return None
    if session.slot is not None and session.slot.ver == ver:
        return session.slot
    slot = await _take(ambient, tx, session, ver=ver)
    await sessions.keep_slot(tx, session.id, slot)
    return slot


async def refuse_slot(tx: Transaction, number: int, index: int, *, now: int) -> Entry:
    """Sets the bit of a slot itself, and returns the entry to append to the feed. As long as the entry is there nobody
    else has the slot, whose tokens would be refused from the beginning."""
    entry = status_set(number, index, now=now)
    await queries.keep(tx, number, index, until=entry.until + _AFTER_THE_LAST_TOKEN * MICROSECONDS)
    return entry


async def sweep(tx: Transaction, now: int) -> int:
    """Frees slots whose time is over, and removes lists that nobody needs any more."""
    freed = await queries.delete_expired(tx, now)
    # long after another list was opened, so that no transaction still takes a slot of the one before
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
    return int.from_bytes(ambient.random.token(4), "big") % ambient.status_lists.size  # a power of two divides evenly
