"""Which part of the change feed a message contains. `ostiary.verifier.feed_message` defines messages."""

from typing import Final

from ostiary.core.clock import MICROSECONDS
from ostiary.store.feed import Entry, Portion, Position
from ostiary.verifier.feed_message import (
    EPOCH_RAISED,
    EVERYTHING,
    KEY_REVOKED,
    SESSION_ENDED,
    TOKEN_REVOKED,
    FeedEntry,
    FeedMessage,
)

MOST_ENTRIES: Final = 1000
"""The number of entries of the change feed that are read for one message."""

TOLD: Final = frozenset({SESSION_ENDED, EPOCH_RAISED, TOKEN_REVOKED, EVERYTHING, KEY_REVOKED})
"""The kinds that verifiers need. Other entries are left out. This does not look like a gap, because ``current`` counts
them."""


def position(text: str) -> Position:
    """Parses ``generation.number.mark`` from a query. The mark may be absent: older clients do not know it."""
    return Position(*map(int, text.split(".")))


def message(portion: Portion, *, issuer: str, client_id: str, now: int) -> FeedMessage:
    """The message for a part of the feed. ``now`` is in seconds."""
    return FeedMessage(
        iss=issuer,
        aud=client_id,
        iat=now,
        generation=portion.end.generation,
        previous=portion.start.seq if portion.start else 0,
        previous_mark=portion.start.mark if portion.start else None,
        current=portion.last.seq,
        mark=portion.last.mark,
        more=portion.last.seq < portion.end.seq,
        entries=tuple(_told(entry) for entry in portion.entries if entry.kind in TOLD),
    )


def _told(entry: Entry) -> FeedEntry:
    until = -(-entry.until // MICROSECONDS)  # whole seconds, rounded up
    return FeedEntry(entry.kind, entry.key, entry.value, until)
