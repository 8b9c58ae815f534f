"""What a session is."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

FIRST_PARTY: Final = "client_first_party"
"""The built-in client: a caller that authenticates its user and not itself."""


@dataclass(frozen=True, slots=True)
class Session:
    """``auth_time`` is in seconds, every other time in microseconds since the epoch."""

    id: str
    account_id: str
    client_id: str
    created_at: int
    expires_at: int
    auth_time: int
    acr: str
    amr: tuple[str, ...]
    device_name: str | None


class EndReason(StrEnum):
    LOGOUT = "logout"
    REUSE = "refresh_token_reused"
    SIGNED_OUT_EVERYWHERE = "signed_out_everywhere"
    ACCOUNT_DISABLED = "account_disabled"
