"""The entries of the change feed about keys."""

from typing import Final

from ostiary.core.clock import MICROSECONDS
from ostiary.store.feed import Entry
from ostiary.verifier.feed_message import KEY_REVOKED

KEY_CHANGED: Final = "key"
"""Processes must read the keys again."""

# A thief with a stolen key can make tokens with any date, so the entry cannot expire with the last token. A process
# that missed the entry for a month reads the rows, which have the same information.
_REMEMBERED: Final = 30 * 86400  # seconds


def changed(kid: str, *, now: int) -> Entry:
    return Entry(kind=KEY_CHANGED, key=kid, value=0, until=now + _REMEMBERED * MICROSECONDS)


def revoked(kid: str, *, now: int) -> Entry:
    """Processes must drop the key at once, before they read anything."""
    return Entry(kind=KEY_REVOKED, key=kid, value=0, until=now + _REMEMBERED * MICROSECONDS)
