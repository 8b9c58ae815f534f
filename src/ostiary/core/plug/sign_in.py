"""The extension points of sign-in. A `Factor` proves, a `Check` may refuse an attempt before that. ``core/sign_in``
decides what comes next."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeVar

import msgspec

from ostiary.core.plug.actor import Source
from ostiary.core.plug.mail import Mail
from ostiary.store.database import Reader, Transaction

A_contra = TypeVar("A_contra", contravariant=True)
"""`ostiary.core.plug.Ambient`. A type variable, because `Ambient` itself contains factors and checks."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of a successful factor. ``consume`` runs inside the transaction that uses the proof and returns
    whether it is still valid there: a code is spent, or a password hash is still the one that was checked. False
    refuses the step."""

    factor: str
    amr: tuple[str, ...]
    """Authentication method references (RFC 8176 §2)."""
    consume: Callable[[Transaction], Awaitable[bool]]
    event: str | None = None
    """The type of an additional audit event, recorded in the transaction that consumed the proof."""
    mail: Mail | None = None
    """Tells the owner that the factor was used. Sent after the step has committed."""


class FactorBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of every later step of a sign-in: the attempt that it continues. A factor adds its own fields."""

    attempt: str


class Factor(Protocol[A_contra]):
    """A second way to prove an identity, after the password. It neither calls nor depends on other factors.

    ``name`` is the path segment (``/auth/login/<name>``) and the name in ``next``. ``body`` has the fields that the
    factor needs. `finish` gets it parsed.
    """

    @property
    def name(self) -> str: ...

    @property
    def body(self) -> type[FactorBody]: ...

    async def offer(self, reader: Reader, account_id: str) -> bool:
        """Whether this account has the factor and can use it now. One cheap read."""

    async def finish(self, ambient: A_contra, account_id: str, body: Any) -> Proof | None:
        """The proof, or None. Must cost the same whether the value is wrong, already used or never existed."""


class Outcome(Enum):
    """How a step of an attempt ended, for the checks that counted it."""

    FAILED = "failed"
    CONTINUES = "continues"
    """The factor was correct. Another one is required."""
    SUCCEEDED = "succeeded"
    """A session was issued after all factors."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a `Check` gets. ``account_id`` is None in the first step, which is counted before the account is looked up.

    ``opened_from`` is the source of the attempt's first step. A success returns the counts of that source.
    """

    factor: str
    source: Source
    opened_from: Source
    account_id: str | None


class Check(Protocol[A_contra]):
    """May refuse an attempt before anything is computed, even before its address is parsed. Gets the outcome of the
    attempts that it allowed."""

    async def before(self, ambient: A_contra, attempt: Attempt) -> None:
        """Raises `ostiary.errors.RateLimited` or another refusal. Must count atomically, because many calls run at the
        same time."""

    async def after(self, ambient: A_contra, attempt: Attempt, outcome: Outcome) -> None: ...
