"""The ``status`` claim of an access token: the list and the bit that belong to it."""

from typing import Final

from ostiary.core.sessions.model import Slot
from ostiary.core.settings import Settings
from ostiary.verifier import AccessToken
from ostiary.verifier.access_token import Status, StatusListEntry

_LONGEST_NUMBER: Final = 18  # digits


def status_list_uri(settings: Settings, number: int) -> str:
    return f"{_lists(settings)}{number}"


def claim(settings: Settings, slot: Slot | None) -> Status | None:
    """The claim for a token whose session has ``slot``."""
    if slot is None:
        return None
    return Status(StatusListEntry(idx=slot.index, uri=status_list_uri(settings, slot.list)))


def own_entry(settings: Settings, token: AccessToken) -> tuple[int, int] | None:
    """The list number and index that `claim` put into a token. None if it has no claim, or one that refers to another
    server."""
    if token.status is None:
        return None
    entry = token.status.status_list
    number = entry.uri.removeprefix(_lists(settings))
    is_number = number.isascii() and number.isdigit() and len(number) <= _LONGEST_NUMBER
    return (int(number), entry.idx) if is_number else None


def _lists(settings: Settings) -> str:
    return f"{settings.issuer}{settings.prefix}/status/"
