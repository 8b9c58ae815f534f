"""What an account is."""

from dataclasses import dataclass
from typing import Final

USER: Final = "user"
MODERATOR: Final = "moderator"
ADMIN: Final = "admin"
"""The roles that exist from the start. Roles are rows: an installation may add others."""


@dataclass(frozen=True, slots=True)
class Account:
    """Times are in microseconds since the epoch."""

    id: str
    email: str
    password_hash: str | None
    epoch: int
    disabled_at: int | None
    verified_at: int | None
    created_at: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What a token vouches for: read in one statement, and in the transaction that issues. ``epoch`` counts on from
    ``least``, that of the realm."""

    account_id: str
    epoch: int
    least: int
    active: bool
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Registration:
    """A registration that waits for its mail link."""

    email: str
    email_key: str
    password_hash: str
