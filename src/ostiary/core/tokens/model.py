"""What is handed out."""

from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from ostiary.core.accounts.model import Standing
from ostiary.core.plug import Mail
from ostiary.core.sessions.model import Session, Slot
from ostiary.jose import SigningKey


class TokenSet(msgspec.Struct, frozen=True, kw_only=True):
    """With ``transport: cookie`` the tokens are in cookies that scripts cannot read, and absent here."""

    access_token: str | UnsetType = UNSET
    token_type: Literal["Bearer"] | UnsetType = UNSET
    refresh_token: str | UnsetType = UNSET
    expires_in: int
    """Seconds until the access token expires."""
    session_id: str
    device_token: str | UnsetType = UNSET
    """Only where the device was not known before. Whoever keeps it and shows it at the next sign-in, and from then on
    at each refresh, is known as the same device."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant that is committed: what an access token may be signed for and by which key, and the refresh token.

    ``resource`` is the access token's audience, None for the issuer itself; ``slot`` its bit in a status list.
    """

    session: Session
    standing: Standing
    refresh_token: str
    resource: str | None
    slot: Slot | None
    key: SigningKey


@dataclass(frozen=True, slots=True)
class Reused:
    """A spent refresh token came again. Its session is ended in the same transaction that found out, and ``mail`` tells
    the account's owner."""

    session_id: str
    mail: Mail | None


@dataclass(frozen=True, slots=True)
class NotAlive:
    """The token is unknown, its session has ended, or its account may not sign in."""

    reason: str
