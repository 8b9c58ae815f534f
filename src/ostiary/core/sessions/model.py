"""What a session is."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

FIRST_PARTY: Final = "client_first_party"
"""The built-in client: a caller that authenticates its user and not itself."""


@dataclass(frozen=True, slots=True)
class Session:
    """``auth_time`` is in seconds, every other time in microseconds since the epoch.

    ``expires_at`` is the absolute end, ``idle_at`` the one that each refresh puts off. ``resource`` is the audience of
    its access tokens; None for the issuer itself. ``device_bound``: its holder shows the device's token with it.
    ``least`` is the realm's least epoch when it began: it lives only while that is the same. ``slot`` is where a status
    list has the bit of its access tokens.
    """

    id: str
    account_id: str
    client_id: str
    created_at: int
    expires_at: int
    auth_time: int
    acr: str
    amr: tuple[str, ...]
    device_name: str | None
    device_id: str | None
    device_bound: bool
    idle_at: int
    resource: str | None
    least: int
    slot: "Slot | None"

    @property
    def ends_at(self) -> int:
        """When it ends, unless it is refreshed before."""
        return min(self.expires_at, self.idle_at)


@dataclass(frozen=True, slots=True)
class Slot:
    """The bit of a session's access tokens of one epoch: number of the status list, and index in it."""

    list: int
    index: int
    ver: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A session as its owner is shown it. ``last_seen_at`` is when it was last refreshed, ``source`` from where."""

    session: Session
    last_seen_at: int
    source: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a sign-in asks of its session."""

    device_name: str | None = None
    device_id: str | None = None
    device_bound: bool = False
    resource: str | None = None


class EndReason(StrEnum):
    LOGOUT = "logout"
    REUSE = "refresh_token_reused"
    SIGNED_OUT_EVERYWHERE = "signed_out_everywhere"
    ACCOUNT_DISABLED = "account_disabled"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 — a reason
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 — a reason
    LIMIT = "too_many_sessions"
    ENDED_BY_OWNER = "ended_by_owner"
    DEVICE_FORGOTTEN = "device_forgotten"
