"""When a key is published, signs, retires and goes. Pure: `plan` says what is due, whoever asks and however often.

::

            published everywhere           the next one has taken over         no token of it is good any more
    next ──────────────────────> current ──────────────────────────> retired ─────────────────────────────────> gone
      └─────────────────────────────┴───────> revoked <─────────────────┘ ─────────────────────────────────────> gone

A time counts from the moment at which the state was *seen* committed, never from when somebody began to write it: a
commit that took long must not make a wait shorter. Until then ``since`` is None, and a step of its own says it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from ostiary.core.clock import MICROSECONDS
from ostiary.core.settings import Settings
from ostiary.verifier import LEEWAY
from ostiary.verifier.verifier import MAX_LIFETIME

JWKS_MAX_AGE: Final = 300
"""Seconds for which others may keep a copy of the published keys."""

MOST_PUBLISHED: Final = 20
"""So many keys are never reached by a schedule; an operator who rotates all day waits until the oldest is gone."""

_NOTICE: Final = 24 * 3600
"""Seconds by which a key is published ahead, if its lifetime allows: many programs ask for keys once a day at best."""


class State(StrEnum):
    NEXT = "next"
    """Published, so that everybody knows it when it begins to sign."""
    CURRENT = "current"
    RETIRED = "retired"
    """Signs no more: its private part is deleted. Published as long as a token of it may be good."""
    REVOKED = "revoked"
    """Good for nothing, at once. Only its name is left."""


PUBLISHED: Final = frozenset({State.NEXT, State.CURRENT, State.RETIRED})


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A row. Times are in microseconds since the epoch."""

    kid: str
    alg: str
    state: State
    created_at: int
    since: int | None
    """When its state was seen committed."""
    activate_at: int
    """A next key does not sign before."""
    sealed: bytes | None = field(repr=False)
    """The private JWK of a key that may sign, the public one of a retired key, nothing of a revoked one."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a key stays what it is, in microseconds."""

    lifetime: int
    """A current key signs for so long."""
    notice: int
    """Its successor is published so much earlier than that."""
    overlap: int
    """A key is published for at least so long before it signs: the answer of a node that had not heard of it yet, kept
    as long as it may be."""
    retention: int
    """A retired key is published for so long. Nodes that have not heard of the switch sign with it a little longer."""
    farewell: int
    """A node that cannot read the new key may sign with the old one for so long, and its tokens are still good to their
    end."""

    @classmethod
    def of(cls, settings: Settings) -> "Timing":
        """A stale node signs nothing and publishes nothing: `feed_staleness` is the longest that any lags behind. The
        lifetime of tokens is the longest there can be, because the setting may have been another one yesterday."""
        lag = settings.feed_staleness + LEEWAY
        overlap = JWKS_MAX_AGE + lag
        return cls(
            lifetime=settings.key_lifetime * MICROSECONDS,
            notice=max(overlap, min(_NOTICE, settings.key_lifetime // 2)) * MICROSECONDS,
            overlap=overlap * MICROSECONDS,
            retention=(MAX_LIFETIME + LEEWAY + overlap) * MICROSECONDS,
            farewell=JWKS_MAX_AGE * MICROSECONDS,
        )


@dataclass(frozen=True, slots=True)
class MakeFirst:
    """There is no current key: one is made that signs at once."""


@dataclass(frozen=True, slots=True)
class MakeNext:
    """A successor of ``current`` is made and published."""

    current: str
    activate_at: int


@dataclass(frozen=True, slots=True)
class Confirm:
    """The key was seen in its state, so its time begins."""

    kid: str
    state: State


@dataclass(frozen=True, slots=True)
class Activate:
    """``kid`` begins to sign, and ``retiring`` ends."""

    kid: str
    retiring: str


@dataclass(frozen=True, slots=True)
class Remove:
    """A key that nobody needs any more goes."""

    kid: str
    state: State


Step: TypeAlias = MakeFirst | MakeNext | Confirm | Activate | Remove


def plan(keys: Sequence[KeyRecord], now: int, timing: Timing) -> list[Step]:
    """The steps that are due. They do not depend on each other; what follows from them is due at the next look."""
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
    """When a next key may begin; ``otherwise`` where its publication is not confirmed."""
    return otherwise if following.since is None else max(following.activate_at, following.since + timing.overlap)


def may_still_sign(key: KeyRecord, now: int, timing: Timing) -> bool:
    """Whether a process that holds the private part and cannot read the current key may go on with it."""
    if key.state is State.RETIRED:
        return key.since is None or now < key.since + timing.farewell
    return key.state is State.CURRENT


def _needs_successor(current: KeyRecord, now: int, timing: Timing) -> bool:
    return current.since is not None and now >= current.since + timing.lifetime - timing.notice


def _is_over(key: KeyRecord, now: int, timing: Timing) -> bool:
    ended = key.state is State.RETIRED or key.state is State.REVOKED
    return ended and key.since is not None and now >= key.since + timing.retention
