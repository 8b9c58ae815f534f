"""Carries out the steps that are due and the requests of operators. Every key change is written to the audit log and,
in the same commit, to the feed.

Any number of processes may do this at the same time. Each change reads the keys again under one lock, inside its
transaction, and its statement checks the state that it expects. If a process is killed, the next one continues from the
state it left.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ostiary.core.accounts.authority import act
from ostiary.core.audit.model import Event
from ostiary.core.plug import Actor, Ambient
from ostiary.core.revocations import Revoking, transact
from ostiary.core.tokens.keys import feed, queries
from ostiary.core.tokens.keys.model import (
    PUBLISHED,
    KeyRecord,
    MakeFirst,
    MakeNext,
    State,
    Step,
    Timing,
    has_room,
    in_state,
    may_sign_at,
    plan,
)
from ostiary.core.tokens.keys.sealing import reseal, unseal
from ostiary.core.tokens.keys.steps import Work, take_step
from ostiary.core.tokens.settings import KeySettings
from ostiary.core.vault import Vault
from ostiary.errors import Conflict, NotFound
from ostiary.jose import SigningKey
from ostiary.store.database import Transaction
from ostiary.store.feed import Entry

KEYS_WRITE: Final = "keys:write"

_LOCK: Final = "signing-keys"
_ROUNDS: Final = 4  # a switch, its confirmation, and a round to spare; the rest is due at the next check


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The key that signs next. ``signs_from`` is in microseconds since the epoch. It is the current time if the key
    already signs."""

    kid: str
    alg: str
    signs_from: int


@dataclass(frozen=True, slots=True)
class Revoked:
    """``successor`` replaces the current key. None if the current key is not among ``kids``."""

    kids: tuple[str, ...]
    successor: str | None


async def open_keys(ambient: Ambient) -> None:
    """Runs `tend` when a process starts.

    Raises:
        ConfigurationError: a key was sealed with a master secret that this process does not have.
    """
    for key in await queries.every(ambient.database):
        if key.state in PUBLISHED:
            unseal(ambient.vault, key)
    await tend(ambient)


async def tend(ambient: Ambient) -> None:
    """Reads the keys into memory and carries out the steps that are due.

    Raises:
        ConfigurationError: a step needs a key that this process cannot unseal.
    """
    for _ in range(_ROUNDS):
        await ambient.keys.refresh()
        steps = plan(await queries.every(ambient.database), ambient.now(), Timing.of(ambient.settings))
        if not steps:
            return
        await advance(ambient, steps)
    await ambient.keys.refresh()


async def advance(ambient: Ambient, steps: Iterable[Step]) -> None:
    """Carries out, in one transaction, the steps that are still due once it has the lock."""
    # generated before the transaction because it is slow; discarded if another process was faster
    fresh = await generate(ambient) if any(isinstance(step, MakeFirst | MakeNext) for step in steps) else None

    async def body(tx: Transaction) -> Revoking[None]:
        keys = await _hold(tx)
        work = Work(ambient, tx, Actor.system(), keys, fresh)
        entries: list[Entry] = []
        for step in plan(keys, ambient.now(), Timing.of(ambient.settings)):
            entries += await take_step(work, step)
        return Revoking(None, tuple(entries))

    await transact(ambient, body)


async def rotate(ambient: Ambient, actor: Actor) -> Upcoming:
    """Lets the next key sign as soon as all verifiers can have it. Creates the next key if there is none.

    Raises:
        Forbidden: the actor lacks ``keys:write``.
        Conflict: too many keys are published. The oldest must be removed first.
    """
    fresh = await generate(ambient)

    async def body(tx: Transaction) -> Revoking[str]:
        await act(ambient, tx, actor, KEYS_WRITE, Event("keys.rotation_requested"))
        keys, now = await _hold(tx), ambient.now()
        current, following = in_state(keys, State.CURRENT), in_state(keys, State.NEXT)
        if following is not None:
            await queries.hurry(tx, following.kid, now=now)
            return Revoking(following.kid)
        if current is None or not has_room(keys):
            raise Conflict("the maximum number of keys is published; wait until the oldest is removed")
        step = MakeNext(current.kid, activate_at=now)
        return Revoking(fresh.kid, await take_step(Work(ambient, tx, actor, keys, fresh), step))

    kid = await transact(ambient, body)
    await tend(ambient)
    return await _upcoming(ambient, kid)


async def revoke(ambient: Ambient, actor: Actor, kid: str) -> Revoked:
    """Revokes a key at once. When this returns, the key no longer verifies anything in this process. In every other
    process that takes less than a second. If it is the current key, a new key replaces it and signs immediately, before
    it is published. Other services fetch the new key when they first see it and refuse its tokens until then. That is
    the price of not trusting the old key any longer.

    Raises:
        Forbidden: the actor lacks ``keys:write``.
        NotFound: there is no such key, or it is already revoked.
    """
    fresh = await generate(ambient)

    async def body(tx: Transaction) -> Revoking[Revoked]:
        await act(ambient, tx, actor, KEYS_WRITE, Event("keys.revoked", detail={"kid": kid}))
        keys = await _hold(tx)
        if not await queries.revoke(tx, kid):
            raise NotFound(f"there is no key {kid} to revoke")
        revoking = feed.revoked(kid, now=ambient.now())
        if (current := in_state(keys, State.CURRENT)) is not None and current.kid != kid:
            return Revoking(Revoked((kid,), None), (revoking,))
        made = await take_step(Work(ambient, tx, actor, keys, fresh), MakeFirst())
        return Revoking(Revoked((kid,), fresh.kid), (revoking, *made))

    done = await transact(ambient, body)
    await go_on_without(ambient, done.kids)
    return done


async def revoke_all(ambient: Ambient, actor: Actor) -> Revoked:
    """Revokes all keys at once, including the next and the retired ones, and lets a new one sign (see `revoke`). Use it
    if a thief may have all keys.

    Raises:
        Forbidden: the actor lacks ``keys:write``.
    """
    fresh = await generate(ambient)
    done = await transact(ambient, lambda tx: replace_all(ambient, tx, actor, fresh))
    await go_on_without(ambient, done.kids)
    return done


async def replace_all(ambient: Ambient, tx: Transaction, actor: Actor, fresh: SigningKey) -> Revoking[Revoked]:
    """Like `revoke_all`, but within the caller's transaction. Call `go_on_without` after the commit.

    Raises:
        Forbidden: the actor lacks ``keys:write``.
    """
    keys = await _hold(tx)
    revoked = tuple(key.kid for key in keys if key.state is not State.REVOKED)
    await act(ambient, tx, actor, KEYS_WRITE, Event("keys.all_revoked", detail={"kids": list(revoked)}))
    for kid in revoked:
        await queries.revoke(tx, kid)
    made = await take_step(Work(ambient, tx, actor, keys, fresh), MakeFirst())
    entries = (feed.revoked(kid, now=ambient.now()) for kid in revoked)
    return Revoking(Revoked(revoked, fresh.kid), (*entries, *made))


async def go_on_without(ambient: Ambient, kids: Iterable[str]) -> None:
    """Call this after the commit that revoked the keys. This process drops them and starts to use the new signing
    key."""
    for kid in kids:
        ambient.keys.drop(kid)
    await tend(ambient)


async def generate(ambient: Ambient) -> SigningKey:
    """Generates a key for `replace_all`."""
    # an RSA key takes up to a second, so this must not run on the event loop
    return await asyncio.to_thread(SigningKey.generate, ambient.settings.of(KeySettings).algorithm)


async def rewrap(vault: Vault, tx: Transaction) -> int:
    """Seals all keys with the newest master secret. Returns how many were not yet.

    Raises:
        ConfigurationError: a key was sealed with a secret that this process does not have.
    """
    count = 0
    for key in await _hold(tx):
        sealed = reseal(vault, key)
        if sealed is not None and key.sealed is not None:
            count += await queries.reseal(tx, key.kid, old=key.sealed, new=sealed)
    return count


async def _hold(tx: Transaction) -> list[KeyRecord]:
    """Locks and returns the keys. No other transaction can change them until this one ends."""
    await tx.lock(_LOCK)
    return await queries.every(tx)


async def _upcoming(ambient: Ambient, kid: str) -> Upcoming:
    now, timing = ambient.now(), Timing.of(ambient.settings)
    for key in await queries.every(ambient.database):
        if key.kid == kid and key.state is State.NEXT:
            return Upcoming(kid, key.alg, may_sign_at(key, timing, otherwise=now + timing.overlap))
        if key.kid == kid and key.state is State.CURRENT:
            return Upcoming(kid, key.alg, now)
    raise Conflict(f"the key {kid} was revoked in the meantime")
