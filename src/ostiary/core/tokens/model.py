"""Token sets, grants and the possible results of a refresh."""

from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from ostiary.core.accounts.model import Standing
from ostiary.core.plug import Mail
from ostiary.core.sessions.model import Session, Slot
from ostiary.jose import SigningKey


class TokenSet(msgspec.Struct, frozen=True, kw_only=True):
    """The response body. With ``transport: cookie`` the tokens are only in cookies, which scripts cannot read."""

    access_token: str | UnsetType = UNSET
    token_type: Literal["Bearer"] | UnsetType = UNSET
    refresh_token: str | UnsetType = UNSET
    expires_in: int
    """Seconds until the access token expires."""
    session_id: str
    device_token: str | UnsetType = UNSET
    """Present only if the device was not known before. A client that keeps it and sends it with the next sign-in, and
    from then on with each refresh, is recognised as the same device."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A committed grant: the content of the access token, the key that signs it, and the refresh token.

    ``resource`` is the audience of the access token, or None for the issuer itself. ``slot`` is its bit in a status
    list.
    """

    session: Session
    standing: Standing
    refresh_token: str
    resource: str | None
    slot: Slot | None
    key: SigningKey


@dataclass(frozen=True, slots=True)
class Reused:
    """A spent refresh token was used again. The transaction that detected it also ends the session. ``mail`` notifies
    the account owner."""

    session_id: str
    mail: Mail | None


@dataclass(frozen=True, slots=True)
class Behind:
    """The token is newer than what the database knows of its session."""

    session_id: str


@dataclass(frozen=True, slots=True)
class NotAlive:
    """The token is unknown, its session has ended, or its account may not sign in."""

    reason: str
