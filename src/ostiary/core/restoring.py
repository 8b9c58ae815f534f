"""After a backup was restored: whatever it would bring back to life that had ended, ends.

A backup does not know what happened after it. It has sessions that were signed out since, signing keys that were
revoked, links that were used; and tokens are about that were issued since, of sessions that it has never seen. Which of
them cannot be told, so all of them end.
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
    """``generation`` is the store's from here on; ``registrations`` is how many waited for their link and are gone."""

    generation: int
    registrations: int
    keys: Revoked


async def finish_restore(ambient: Ambient, actor: Actor) -> Restored:
    """Ends every session, access token, sign-in under way, registration link and signing key, in one transaction, and
    has everybody who follows the change feed take a new snapshot. To be called once after a restore, before anybody is
    served; once more does no harm.

    Raises:
        Forbidden: the actor lacks ``users:write`` or ``keys:write``.
    """
    fresh = await generate(ambient)

    async def body(tx: Transaction) -> Revoking[Restored]:
        await act(ambient, tx, actor, USERS_WRITE, Event("installation.restored"))
        generation = await raise_generation(tx, now=ambient.now())
        # sign-ins under way end with it: an attempt holds the epoch of its beginning
        raised = await raise_everything(ambient, tx)
        registrations = await queries.delete_registrations(tx)
        replacing = await replace_all(ambient, tx, actor, fresh)
        return Revoking(Restored(generation, registrations, replacing.result), (raised, *replacing.entries))

    restored = await transact(ambient, body)
    await go_on_without(ambient, restored.keys.kids)
    return restored
