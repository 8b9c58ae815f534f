"""The data of a session."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from ostiary.core.accounts.model import Described


@dataclass(frozen=True, slots=True)
class Session:
    """``auth_time`` is in seconds since the epoch. All other times are in microseconds.

    ``expires_at`` is the absolute end. ``idle_at`` is the idle end, which each refresh moves. ``resource`` is the
    audience of its access tokens, None for the issuer itself. ``device_bound``: the client sends the device token with
    each refresh. ``least`` is the realm's minimum epoch when the session started. The session is alive only while that
    value is unchanged. ``slot`` is the place of the bit of its access tokens in a status list.
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
        """When the session ends if it is not refreshed before."""
        return min(self.expires_at, self.idle_at)


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest refresh token of a session. ``generation`` is 0 and ``hash`` None while its tokens have the former
    format. ``next_at``: the earliest time of the next allowed refresh, in microseconds since the
    epoch."""

    generation: int
    hash: bytes | None
    next_at: int


@dataclass(frozen=True, slots=True)
class Slot:
    """The bit for a session's access tokens of one epoch: the number of the status list and the index in it."""

    list: int
    index: int
    ver: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A session as shown to its owner. ``last_seen_at`` is the time of the last refresh. ``source`` is the address of
    the sign-in."""

    session: Session
    last_seen_at: int
    source: str
    user_agent: str


class Shown(NamedTuple):
    """What the owner of a session asks most often: the session and its account, from one moment."""

    account: Described
    roles: tuple[str, ...]
    permissions: tuple[str, ...]
    created_at: int
    expires_at: int
    device_name: str | None
    amr: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What a sign-in requests for its session."""

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
    ENDED_BY_ADMIN = "ended_by_admin"
    DEVICE_FORGOTTEN = "device_forgotten"
