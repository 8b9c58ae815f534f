"""The dispatcher's table: what is proved and which factors the account has decide what comes next.

    proved            the account has     next
    ────────────────  ──────────────────  ─────────────────────────────
    password          nothing else        issue
    password          other factors       ask for one of them
    password, other   any                 issue

There is no other way to get a session. A factor only proves something. It never decides what comes next.
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
    """Enough is proved. A session may start."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One of these factors is needed."""

    factors: tuple[str, ...]


Next: TypeAlias = Issue | Ask


def decide(*, second_proved: bool, offered: Sequence[str]) -> Next:
    """Applies the table above. The password is always proved first: an attempt exists only after that."""
    match second_proved, tuple(offered):
        case False, ():
            return Issue()
        case False, factors:
            return Ask(factors)
        case _:
            return Issue()


@dataclass(frozen=True, slots=True)
class Pending:
    """A stored attempt between two steps. ``opened_from`` is the source of the first step."""

    account_id: str
    epoch: int
    amr: tuple[str, ...]
    wanted: "SignInOptions"
    opened_from: Source


@dataclass(frozen=True, slots=True)
class SignInOptions:
    """What the client requests for its session. ``device_hash`` is the hash of the device token that it sends."""

    transport: Transport
    device_name: str | None
    device_hash: bytes | None
    resource: str | None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The sign-in is complete. ``device_token`` is set if the device was not known before. ``mail`` then notifies the
    owner."""

    granted: Granted
    transport: Transport
    device_token: str | None
    mail: Mail | None


@dataclass(frozen=True, slots=True)
class Continues:
    """Another factor is needed. ``attempt`` is the token that identifies this attempt in the next step."""

    attempt: str
    factors: tuple[str, ...]
    expires_in: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The step failed. Its audit event and its count are committed."""


@dataclass(frozen=True, slots=True)
class Full:
    """Everything was proved, but the account has reached its session limit."""


Step: TypeAlias = SignedIn | Continues | Refused | Full
