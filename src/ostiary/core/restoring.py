"""The steps after restoring a backup: they end everything that the backup might wrongly bring back.

A backup does not contain what happened after it was made. It has sessions that were signed out since then, signing keys
that were revoked and links that were used. Tokens also exist for sessions that the backup does not contain. It is
impossible to tell which ones are affected, so all of them end.
"""

from dataclasses import dataclass

from ostiary.core.accounts import queries
from ostiary.core.accounts.authority import USERS_WRITE, act
from ostiary.core.accounts.service import raise_everything
from ostiary.core.audit.model import Event
from ostiary.core.plug import Actor, Ambient
from ostiary.core.revocations import Revoking, transact
from ostiary.core.tokens.keys.service import Revoked, generate, go_on_without, replace_all
from ostiary.store.database import Transaction
from ostiary.store.generation import raise_generation


@dataclass(frozen=True, slots=True)
class Restored:
    """``generation`` is the new generation of the store. ``registrations`` is the number of pending registrations that
    were deleted."""

    generation: int
    registrations: int
    keys: Revoked


async def finish_restore(ambient: Ambient, actor: Actor) -> Restored:
    """Ends all sessions, access tokens, open sign-ins, registration links and signing keys in one transaction. All
    readers of the change feed then load a new snapshot. Call it once after a restore, before serving requests. Calling
    it again does no harm.

    Raises:
        Forbidden: the actor lacks ``users:write`` or ``keys:write``.
    """
    fresh = await generate(ambient)

    async def body(tx: Transaction) -> Revoking[Restored]:
        await act(ambient, tx, actor, USERS_WRITE, Event("installation.restored"))
        generation = await raise_generation(tx, now=ambient.now())
        # this also ends open sign-ins, because an attempt stores the epoch of its start
        raised = await raise_everything(ambient, tx)
        registrations = await queries.delete_registrations(tx)
        replacing = await replace_all(ambient, tx, actor, fresh)
        return Revoking(Restored(generation, registrations, replacing.result), (raised, *replacing.entries))

    restored = await transact(ambient, body)
    await go_on_without(ambient, restored.keys.kids)
    return restored
