"""What the change feed says about keys."""

from typing import Final

from ostiary.core.clock import MICROSECONDS
from ostiary.store.feed import Entry
from ostiary.verifier.feed_message import KEY_REVOKED

KEY_CHANGED: Final = "key"
"""The keys are to be read again."""

# Whoever has stolen a key makes tokens as fresh as he likes: no token's end is the end of this. A process that did not
# hear of it for a month reads the rows, which tell the same.
_REMEMBERED: Final = 30 * 86400  # seconds


def changed(kid: str, *, now: int) -> Entry:
    return Entry(kind=KEY_CHANGED, key=kid, value=0, until=now + _REMEMBERED * MICROSECONDS)


def revoked(kid: str, *, now: int) -> Entry:
    """The key is to be dropped at once, before anything is read."""
    return Entry(kind=KEY_REVOKED, key=kid, value=0, until=now + _REMEMBERED * MICROSECONDS)
