"""When a key is published, signs, retires and is removed. Pure: `plan` returns what is due, however often it is called.

::

            published everywhere           the next key has taken over         all tokens signed by it have expired
    next ──────────────────────> current ──────────────────────────> retired ─────────────────────────────────> gone
      └─────────────────────────────┴───────> revoked <─────────────────┘ ─────────────────────────────────────> gone

Waiting times start when the state was *seen* committed, not when the write began: a slow commit must not shorten a
wait. Until then ``since`` is None. A separate step, `Confirm`, sets it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from ostiary.core.clock import MICROSECONDS
from ostiary.core.revocations import RevocationSettings
from ostiary.core.settings import Settings
from ostiary.core.tokens.settings import KeySettings
from ostiary.verifier import LEEWAY
from ostiary.verifier.verifier import MAX_LIFETIME

JWKS_MAX_AGE: Final = 300
"""Seconds for which other services may cache the published keys."""

MOST_PUBLISHED: Final = 20
"""The scheduled rotation never reaches this number. An operator who rotates many times in a row has to wait until the
oldest key is removed."""

_NOTICE: Final = 24 * 3600
"""Seconds for which a key is published before it signs, if its lifetime allows it. Many programs fetch keys only once a
day."""


class State(StrEnum):
    NEXT = "next"
    """Published, so that all verifiers have it when it starts to sign."""
    CURRENT = "current"
    RETIRED = "retired"
    """No longer signs. Its private part is deleted. It stays published while a token signed by it may be valid."""
    REVOKED = "revoked"
    """Neither signs nor verifies, effective at once. Only its ``kid`` is kept."""


PUBLISHED: Final = frozenset({State.NEXT, State.CURRENT, State.RETIRED})


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A row. Times are in microseconds since the epoch."""

    kid: str
    alg: str
    state: State
    created_at: int
    since: int | None
    """When the state was seen committed."""
    activate_at: int
    """A next key does not sign before this time."""
    sealed: bytes | None = field(repr=False)
    """The private JWK of a key that may sign, the public JWK of a retired key, or None for a revoked key."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a key stays in each state, in microseconds."""

    lifetime: int
    """How long a current key signs."""
    notice: int
    """How long before the end of that lifetime its successor is published."""
    overlap: int
    """How long a key is published at least before it signs. It covers the response of a node that does not have the key
    yet, plus the time for which that response may be cached."""
    retention: int
    """How long a retired key is published. Nodes that have not seen the switch yet sign with it a little longer."""
    farewell: int
    """How long a node that cannot read the new key may sign with the old one. Those tokens stay valid until they
    expire."""

    @classmethod
    def of(cls, settings: Settings) -> "Timing":
        """A stale node neither signs nor publishes, so `revocations.staleness` limits how far a node can lag behind.
        The token lifetime used here is the longest possible one, because the setting may have changed in between."""
        lag = settings.of(RevocationSettings).staleness + LEEWAY
        overlap = JWKS_MAX_AGE + lag
        return cls(
            lifetime=settings.of(KeySettings).lifetime * MICROSECONDS,
            notice=max(overlap, min(_NOTICE, settings.of(KeySettings).lifetime // 2)) * MICROSECONDS,
            overlap=overlap * MICROSECONDS,
            retention=(MAX_LIFETIME + LEEWAY + overlap) * MICROSECONDS,
            farewell=JWKS_MAX_AGE * MICROSECONDS,
        )


@dataclass(frozen=True, slots=True)
class MakeFirst:
    """There is no current key. Create one that signs at once."""


@dataclass(frozen=True, slots=True)
class MakeNext:
    """Create and publish a successor of ``current``."""

    current: str
    activate_at: int


@dataclass(frozen=True, slots=True)
class Confirm:
    """The key was seen in its state, so its waiting time starts."""

    kid: str
    state: State


@dataclass(frozen=True, slots=True)
class Activate:
    """``kid`` starts to sign, and ``retiring`` stops."""

    kid: str
    retiring: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a key that is no longer needed."""

    kid: str
    state: State


Step: TypeAlias = MakeFirst | MakeNext | Confirm | Activate | Remove


def plan(keys: Sequence[KeyRecord], now: int, timing: Timing) -> list[Step]:
    """The steps that are due. They do not depend on each other. Steps that follow from them are due at the next
    check."""
    steps: list[Step] = [Confirm(key.kid, key.state) for key in keys if key.since is None]
    steps += [Remove(key.kid, key.state) for key in keys if _is_over(key, now, timing)]
    current, following = in_state(keys, State.CURRENT), in_state(keys, State.NEXT)
    if current is None:
        steps.append(MakeFirst())
    elif following is None:
        if _needs_successor(current, now, timing) and has_room(keys):
            steps.append(MakeNext(current.kid, activate_at=(current.since or now) + timing.lifetime))
    elif now >= may_sign_at(following, timing, otherwise=now + 1):
        steps.append(Activate(following.kid, retiring=current.kid))
    return steps


def in_state(keys: Sequence[KeyRecord], state: State) -> KeyRecord | None:
    return next((key for key in keys if key.state is state), None)


def has_room(keys: Sequence[KeyRecord]) -> bool:
    return sum(key.state in PUBLISHED for key in keys) < MOST_PUBLISHED


def may_sign_at(following: KeyRecord, timing: Timing, *, otherwise: int) -> int:
    """When a next key may start to sign, or ``otherwise`` if its publication is not confirmed."""
    return otherwise if following.since is None else max(following.activate_at, following.since + timing.overlap)


def may_still_sign(key: KeyRecord, now: int, timing: Timing) -> bool:
    """Whether a process that has the private part and cannot read the current key may keep signing with this one."""
    if key.state is State.RETIRED:
        return key.since is None or now < key.since + timing.farewell
    return key.state is State.CURRENT


def _needs_successor(current: KeyRecord, now: int, timing: Timing) -> bool:
    return current.since is not None and now >= current.since + timing.lifetime - timing.notice


def _is_over(key: KeyRecord, now: int, timing: Timing) -> bool:
    ended = key.state is State.RETIRED or key.state is State.REVOKED
    return ended and key.since is not None and now >= key.since + timing.retention
