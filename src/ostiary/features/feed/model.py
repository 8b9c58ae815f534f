"""What a message says, and which part of the change feed it is."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from ostiary.core.clock import MICROSECONDS
from ostiary.core.revocations import EPOCH_RAISED, EVERYTHING, SESSION_ENDED, TOKEN_REVOKED
from ostiary.core.tokens.keys.feed import KEY_REVOKED
from ostiary.store.feed import Entry, Portion, Position

FEED_TYPE: Final = "ostiary-feed+jwt"
"""The ``typ`` of a message: no token of another kind passes for one (RFC 8725bis §3.11)."""

MOST_ENTRIES: Final = 1000
"""Of the change feed, considered for one message."""

MAX_MESSAGE: Final = 256 * 1024
"""Characters. A thousand entries with the ids that we make are about half of it."""

TOLD: Final = frozenset({SESSION_ENDED, EPOCH_RAISED, TOKEN_REVOKED, EVERYTHING, KEY_REVOKED})
"""The kinds of entries that are of use to who verifies tokens. The others are left out, which is no gap: ``current``
counts them."""

Told: TypeAlias = tuple[str, str, int, int]
"""kind, key, value, and the second until which it is of use."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What comes after ``previous`` and up to ``current``. ``previous`` is 0 at a snapshot: what the receiver knew
    before counts for nothing then. ``more``: the rest is to be asked for at once."""

    iss: str
    aud: str
    iat: int
    generation: int
    previous: int
    current: int
    more: bool
    entries: tuple[Told, ...]


def position(text: str) -> Position:
    """``generation.number``, two numbers of a few digits."""
    generation, _, seq = text.partition(".")
    return Position(int(generation), int(seq))


def message(portion: Portion, *, previous: int, issuer: str, client_id: str, now: int) -> Message:
    """The message that tells a portion. ``now`` is in seconds."""
    return Message(
        iss=issuer,
        aud=client_id,
        iat=now,
        generation=portion.end.generation,
        previous=previous,
        current=portion.last,
        more=portion.last < portion.end.seq,
        entries=tuple(_told(portion.entries)),
    )


def _told(entries: Sequence[Entry]) -> list[Told]:
    return [
        (entry.kind, entry.key, entry.value, -(-entry.until // MICROSECONDS)) for entry in entries if entry.kind in TOLD
    ]
