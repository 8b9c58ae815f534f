"""What a device is, and how many of them an account keeps."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Final

MOST_DEVICES: Final = 50
"""For one account. Nobody has as many; a caller who never shows a token would otherwise leave a row at each sign-in."""

REMEMBERED: Final = 400 * 86400
"""Seconds without a sign-in after which a device is a new one. No browser keeps a cookie longer (RFC 6265bis §5.5)."""

ADDED: Final = "devices.added"
"""The type of the audit event of a new device."""

ANNOUNCED: Final = 10
"""New devices in an hour about which the owner gets a mail: who has the password could otherwise fill the mailbox, by
signing in again and again."""

DISOWNABLE: Final = 7 * 86400
"""Seconds for which the link in the mail about a new device is good: it does nothing but sign that device out, and
people are away for a week."""


@dataclass(frozen=True, slots=True)
class Device:
    """Times are in microseconds since the epoch. ``source`` and ``user_agent`` are those of the newest sign-in."""

    id: str
    name: str
    user_agent: str
    source: str
    first_seen_at: int
    last_seen_at: int


@dataclass(frozen=True, slots=True)
class Recognised:
    """The device of a sign-in. A new one comes with its ``token``, to be handed out and stored nowhere, and with the
    ``disown`` token that belongs into the mail to the owner; a known one with neither."""

    device_id: str
    name: str
    token: str | None
    disown: str | None


def superfluous(devices: Sequence[Device], *, in_use: Set[str]) -> list[Device]:
    """Those that go, so that there is room for one more: seen longest ago, and without a session that lives.

    Args:
        devices: all of an account, the one seen last first.
        in_use: ids of those with a live session.
    """
    too_many = max(0, len(devices) + 1 - MOST_DEVICES)
    unused = [device for device in reversed(devices) if device.id not in in_use]
    return unused[:too_many]
