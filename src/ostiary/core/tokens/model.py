"""What is handed out."""

from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from ostiary.core.accounts.model import Standing
from ostiary.core.sessions.model import Session
from ostiary.jose import SigningKey


class TokenSet(msgspec.Struct, frozen=True, kw_only=True):
    """With ``transport: cookie`` the tokens are in cookies that scripts cannot read, and absent here."""

    access_token: str | UnsetType = UNSET
    token_type: Literal["Bearer"] | UnsetType = UNSET
    refresh_token: str | UnsetType = UNSET
    expires_in: int
    """Seconds until the access token expires."""
    session_id: str


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant that is committed: what an access token may be signed for and by which key, and the refresh token."""

    session: Session
    standing: Standing
    refresh_token: str
    key: SigningKey


@dataclass(frozen=True, slots=True)
class Reused:
    """A spent refresh token came again. Its session is ended in the same transaction that found out."""

    session_id: str


@dataclass(frozen=True, slots=True)
class NotAlive:
    """The token is unknown, its session has ended, or its account may not sign in."""

    reason: str
