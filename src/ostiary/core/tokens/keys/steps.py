"""Takes one step of a plan in the caller's transaction. A key whose state has changed since the plan is left alone."""

from typing import NamedTuple

from ostiary.core.audit.model import Event
from ostiary.core.audit.service import record
from ostiary.core.plug import Actor, Ambient
from ostiary.core.tokens.keys import feed, queries
from ostiary.core.tokens.keys.model import Activate, Confirm, KeyRecord, MakeFirst, MakeNext, Remove, Step
from ostiary.core.tokens.keys.sealing import public, seal_private, seal_public, unseal
from ostiary.errors import Conflict
from ostiary.jose import SigningKey
from ostiary.store.database import Transaction
from ostiary.store.feed import Entry


class Work(NamedTuple):
    """What a step needs: the actor, the keys as its transaction sees them, and a freshly generated key."""

    ambient: Ambient
    tx: Transaction
    actor: Actor
    keys: list[KeyRecord]
    fresh: SigningKey | None


async def take_step(work: Work, step: Step) -> tuple[Entry, ...]:
    """Returns the entries that the transaction must append to the feed."""
    match step:
        case MakeFirst():
            return await _make_first(work)
        case MakeNext():
            return await _make_next(work, step)
        case Activate():
            return await _activate(work, step)
        case Remove():
            return await _remove(work, step)
        case Confirm():
            await queries.confirm(work.tx, step.kid, step.state, now=work.ambient.now())
            return ()


async def _make_first(work: Work) -> tuple[Entry, ...]:
    ambient, key = work.ambient, work.fresh
    if key is None:
        return ()
    sealed = seal_private(ambient.vault, key)
    if not await queries.insert_first(work.tx, key.kid, key.alg, sealed, now=ambient.now()):
        return ()
    await _record(work, "keys.created", key.kid, alg=key.alg)
    await _record(work, "keys.activated", key.kid)
    return (feed.changed(key.kid, now=ambient.now()),)


async def _make_next(work: Work, step: MakeNext) -> tuple[Entry, ...]:
    ambient, key = work.ambient, work.fresh
    if key is None:
        return ()
    if not await queries.insert_next(
        work.tx,
        key.kid,
        key.alg,
        seal_private(ambient.vault, key),
        current=step.current,
        activate_at=step.activate_at,
        now=ambient.now(),
    ):
        return ()
    await _record(work, "keys.created", key.kid, alg=key.alg)
    return (feed.changed(key.kid, now=ambient.now()),)


async def _activate(work: Work, step: Activate) -> tuple[Entry, ...]:
    """Raises ConfigurationError if this process cannot read one of the two keys. Another process will do the step."""
    vault, by_kid = work.ambient.vault, {key.kid: key for key in work.keys}
    unseal(vault, by_kid[step.kid])
    retiring = public(unseal(vault, by_kid[step.retiring]))
    if not await queries.retire(work.tx, step.retiring, seal_public(vault, retiring)):
        return ()
    if not await queries.activate(work.tx, step.kid):
        raise Conflict(f"the next key {step.kid} no longer exists")
    await _record(work, "keys.retired", step.retiring)
    await _record(work, "keys.activated", step.kid)
    return (feed.changed(step.kid, now=work.ambient.now()),)


async def _remove(work: Work, step: Remove) -> tuple[Entry, ...]:
    if not await queries.remove(work.tx, step.kid, step.state):
        return ()
    await _record(work, "keys.removed", step.kid)
    return (feed.changed(step.kid, now=work.ambient.now()),)


async def _record(work: Work, name: str, kid: str, **detail: str) -> None:
    await record(work.ambient, work.tx, work.actor, Event(name, detail={"kid": kid, **detail}))
