"""The data of an account."""

from dataclasses import dataclass
from typing import Final, NamedTuple

USER: Final = "user"
MODERATOR: Final = "moderator"
ADMIN: Final = "admin"
"""The roles that every installation starts with. Roles are database rows, so an installation may add others."""


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
    version: int = 1
    """The number of changes to roles, state and profile."""


class Described(NamedTuple):
    """What an account's owner is shown of it. Times are in microseconds since the epoch."""

    id: str
    email: str
    verified_at: int | None
    created_at: int


@dataclass(frozen=True, slots=True)
class Standing:
    """The account data that a token confirms. It is read in one statement, in the transaction that issues the token.
    ``epoch`` is the account's own count added to ``least``, the minimum epoch of the realm."""

    account_id: str
    epoch: int
    least: int
    active: bool
    roles: tuple[str, ...]
    verified_email: str | None = None
    issuer: str | None = None
    """The issuer that the database belongs to."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A registration that is waiting for its link to be used."""

    email: str
    email_key: str
    password_hash: str
    profile: str | None
