"""Doing what is due, and what an operator asks for. Every change of a key is recorded, and in the feed with its commit.

Any number of processes may do it at once: a change looks at the keys again under one lock and inside its transaction,
and is a statement that only fits the state which it leaves. A process that is killed leaves a state from which the next
one goes on.
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
from ostiary.core.vault import Vault
from ostiary.errors import Conflict, NotFound
from ostiary.jose import SigningKey
from ostiary.store.database import Transaction
from ostiary.store.feed import Entry

KEYS_WRITE: Final = "keys:write"

_LOCK: Final = "signing-keys"
_ROUNDS: Final = 4  # a switch, its confirmation, and a round to spare; what is left is due at the next look


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The key that signs next, and when: microseconds since the epoch, now where it does already."""

    kid: str
    alg: str
    signs_from: int


@dataclass(frozen=True, slots=True)
class Revoked:
    """``successor`` signs in the place of the current key; None where that is not among ``kids``."""

    kids: tuple[str, ...]
    successor: str | None


async def open_keys(ambient: Ambient) -> None:
    """`tend` for a process that begins.

    Raises:
        ConfigurationError: a key was sealed with a master secret that is not here.
    """
    for key in await queries.every(ambient.database):
        if key.state in PUBLISHED:
            unseal(ambient.vault, key)
    await tend(ambient)


async def tend(ambient: Ambient) -> None:
    """Takes the keys as they are into memory, and does what is due.

    Raises:
        ConfigurationError: something is due that needs a key which cannot be unsealed here.
    """
    for _ in range(_ROUNDS):
        await ambient.keys.refresh()
        steps = plan(await queries.every(ambient.database), ambient.now(), Timing.of(ambient.settings))
        if not steps:
            return
        await advance(ambient, steps)
    await ambient.keys.refresh()


async def advance(ambient: Ambient, steps: Iterable[Step]) -> None:
    """One transaction with what is still due when it has the lock."""
    # made before, because it takes long: thrown away where another process was faster
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
    """Has the next key sign as soon as everybody can know it, and makes it where there is none.

    Raises:
        Forbidden: the actor lacks ``keys:write``.
        Conflict: too many keys are published; the oldest must go first.
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
            raise Conflict("as many keys are published as there can be: wait until the oldest is gone")
        step = MakeNext(current.kid, activate_at=now)
        return Revoking(fresh.kid, await take_step(Work(ambient, tx, actor, keys, fresh), step))

    kid = await transact(ambient, body)
    await tend(ambient)
    return await _upcoming(ambient, kid)


async def revoke(ambient: Ambient, actor: Actor, kid: str) -> Revoked:
    """Ends a key at once: it verifies nothing more in this process when this returns, and in every other within a
    second. A new key takes the place of the current one and signs immediately, unpublished as it is: others learn of it
    when they meet it, and until then refuse its tokens. That is the price of not trusting the old one for a moment.

    Raises:
        Forbidden: the actor lacks ``keys:write``.
        NotFound: there is no such key, or it is revoked.
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
    """Ends every key at once, the next and the retired ones too, and has a new one sign: see `revoke`. For when whoever
    has stolen one may have them all.

    Raises:
        Forbidden: the actor lacks ``keys:write``.
    """
    fresh = await generate(ambient)
    done = await transact(ambient, lambda tx: replace_all(ambient, tx, actor, fresh))
    await go_on_without(ambient, done.kids)
    return done


async def replace_all(ambient: Ambient, tx: Transaction, actor: Actor, fresh: SigningKey) -> Revoking[Revoked]:
    """`revoke_all` within the caller's transaction. After its commit call `go_on_without`.

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
    """After the commit that revoked them: this process drops the keys, and takes up the one that signs now."""
    for kid in kids:
        ambient.keys.drop(kid)
    await tend(ambient)


async def generate(ambient: Ambient) -> SigningKey:
    """A key for `replace_all`."""
    # an RSA key takes up to a second: not on the event loop
    return await asyncio.to_thread(SigningKey.generate, ambient.settings.key_algorithm)


async def rewrap(vault: Vault, tx: Transaction) -> int:
    """Seals every key with the newest master secret that is not yet, and returns how many these were.

    Raises:
        ConfigurationError: one was sealed with a secret that is not here.
    """
    count = 0
    for key in await _hold(tx):
        sealed = reseal(vault, key)
        if sealed is not None and key.sealed is not None:
            count += await queries.reseal(tx, key.kid, old=key.sealed, new=sealed)
    return count


async def _hold(tx: Transaction) -> list[KeyRecord]:
    """The keys, which nobody else changes until the transaction ends."""
    await tx.lock(_LOCK)
    return await queries.every(tx)


async def _upcoming(ambient: Ambient, kid: str) -> Upcoming:
    now, timing = ambient.now(), Timing.of(ambient.settings)
    for key in await queries.every(ambient.database):
        if key.kid == kid and key.state is State.NEXT:
            return Upcoming(kid, key.alg, may_sign_at(key, timing, otherwise=now + timing.overlap))
        if key.kid == kid and key.state is State.CURRENT:
            return Upcoming(kid, key.alg, now)
    raise Conflict(f"the key {kid} was revoked meanwhile")
