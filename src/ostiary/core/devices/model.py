"""Devices, and how many of them an account keeps."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Final

MOST_DEVICES: Final = 50
"""The limit per account. No user has that many. A client that never sends its token would otherwise add a row with each
sign-in."""

REMEMBERED: Final = 400 * 86400
"""Seconds without a sign-in after which a device counts as new. No browser keeps a cookie longer (RFC 6265bis §5.5)."""

ADDED: Final = "devices.added"
"""The type of the audit event of a new device."""

ANNOUNCED: Final = 10
"""Mails about new devices per hour. An attacker who has the password could otherwise fill the mailbox by signing in
again and again."""

DISOWNABLE: Final = 7 * 86400
"""Seconds for which the link in the mail about a new device is valid. It can only sign that device out, and people may
be away for a week."""


@dataclass(frozen=True, slots=True)
class Device:
    """Times are in microseconds since the epoch. ``source`` and ``user_agent`` are those of the latest sign-in."""

    id: str
    name: str
    user_agent: str
    source: str
    first_seen_at: int
    last_seen_at: int


@dataclass(frozen=True, slots=True)
class Recognised:
    """The device of a sign-in. A new device comes with its ``token``, which is given to the client and not stored, and
    with the ``disown`` token for the mail to the owner. A known device has neither."""

    device_id: str
    name: str
    token: str | None
    disown: str | None


def superfluous(devices: Sequence[Device], *, in_use: Set[str]) -> list[Device]:
    """The devices to remove to make room for one more: the least recently seen ones without a live session.

    Args:
        devices: all devices of an account, the most recently seen first.
        in_use: the ids of devices with a live session.
    """
    too_many = max(0, len(devices) + 1 - MOST_DEVICES)
    unused = [device for device in reversed(devices) if device.id not in in_use]
    return unused[:too_many]
