"""The dispatcher's table: what has been proved, and what the account has, decide what comes next.

    proved            the account has     next
    ────────────────  ──────────────────  ─────────────────────────────
    password          nothing else        issue
    password          other factors       ask for one of them
    password, other   any                 issue

There is no other way to a session. A factor only proves; it is never asked what comes after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ostiary.core.plug import Mail, Source, Transport
from ostiary.core.tokens.model import Granted

PASSWORD: Final = "password"  # noqa: S105 — the factor's name
PASSWORD_AMR: Final = "pwd"  # noqa: S105 — RFC 8176 §2


@dataclass(frozen=True, slots=True)
class Issue:
    """Enough is proved: a session may start."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One of these factors is needed."""

    factors: tuple[str, ...]


Next: TypeAlias = Issue | Ask


def decide(*, second_proved: bool, offered: Sequence[str]) -> Next:
    """The table above. The password is always proved first: no attempt exists before."""
    match second_proved, tuple(offered):
        case False, ():
            return Issue()
        case False, factors:
            return Ask(factors)
        case _:
            return Issue()


@dataclass(frozen=True, slots=True)
class Pending:
    """An attempt between two steps, as it is stored. ``opened_from`` is where the first step came from."""

    account_id: str
    epoch: int
    amr: tuple[str, ...]
    wanted: "Wanted"
    opened_from: Source


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the caller wants its session. ``device_hash`` is of the device token that it shows."""

    transport: Transport
    device_name: str | None
    device_hash: bytes | None
    resource: str | None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """``device_token`` is there where the device was not known before; ``mail`` then tells the owner."""

    granted: Granted
    transport: Transport
    device_token: str | None
    mail: Mail | None


@dataclass(frozen=True, slots=True)
class Continues:
    """Another factor is needed. ``attempt`` is the token with which the next step names this attempt."""

    attempt: str
    factors: tuple[str, ...]
    expires_in: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The step failed. What must stay of it, the audit event and the count, is committed."""


@dataclass(frozen=True, slots=True)
class Full:
    """Everything was proved, but the account has as many sessions as it may have."""


Step: TypeAlias = SignedIn | Continues | Refused | Full
