"""The seams of a sign-in: a `Factor` proves, a `Check` may refuse before. ``core/sign_in`` decides what comes next."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import msgspec

from ostiary.core.plug.actor import Source
from ostiary.core.plug.ambient import Ambient, Mail
from ostiary.store.database import Reader, Transaction


@dataclass(frozen=True, slots=True)
class Proof:
    """A factor was shown. ``consume`` runs inside the transaction that acts on it and says whether the proof still
    holds there: a code is spent, a password hash is still the one that was checked. False refuses."""

    factor: str
    amr: tuple[str, ...]
    """Authentication method references (RFC 8176 §2)."""
    consume: Callable[[Transaction], Awaitable[bool]]
    event: str | None = None
    """The type of an audit event of its own, recorded in the transaction that consumed it."""
    mail: Mail | None = None
    """Tells the owner that it was used, once the step it took has committed."""


class FactorBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every later step of a sign-in sends: the attempt it continues. A factor adds its own fields."""

    attempt: str


class Factor(Protocol):
    """A way to prove who one is, after the password. It neither calls nor knows other factors.

    ``name`` is the path segment (``/auth/login/<name>``) and what ``next`` lists. Its body may carry what the factor
    needs; `finish` gets it parsed.
    """

    @property
    def name(self) -> str: ...

    @property
    def body(self) -> type[FactorBody]: ...

    async def offer(self, reader: Reader, account_id: str) -> bool:
        """Whether this account has the factor and could use it now. One cheap read."""

    async def finish(self, ambient: Ambient, account_id: str, body: Any) -> Proof | None:
        """The proof, or None. Must cost the same whether the value was wrong, used or never existed."""


class Outcome(Enum):
    """How an attempt ended, for those who counted it."""

    FAILED = "failed"
    CONTINUES = "continues"
    """The factor was right; another one is asked for."""
    SUCCEEDED = "succeeded"
    """A session was issued after all factors."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a `Check` sees. ``account_id`` is None where no account has the identifier; that must not show.

    ``opened_from`` is the source of the attempt's first step: what its success gives back was taken there.
    """

    factor: str
    source: Source
    opened_from: Source
    account_id: str | None


class Check(Protocol):
    """May refuse an attempt before anything is computed, and is told the outcome of those it let through."""

    async def before(self, ambient: Ambient, attempt: Attempt) -> None:
        """Raises `ostiary.errors.RateLimited` or another refusal. Must count atomically: many come at once."""

    async def after(self, ambient: Ambient, attempt: Attempt, outcome: Outcome) -> None: ...
