"""Permission and audit in one function: a verb that changes somebody's account cannot have one without the other."""

from typing import Final

from ostiary.core.accounts import queries
from ostiary.core.audit.model import Event
from ostiary.core.audit.service import record
from ostiary.core.plug import Actor, ActorKind, Ambient
from ostiary.errors import Forbidden
from ostiary.store.database import Transaction

USERS_READ: Final = "users:read"
USERS_WRITE: Final = "users:write"


async def act(
    ambient: Ambient, tx: Transaction, actor: Actor, permission: str, event: Event, *, own: str | None = None
) -> None:
    """Records ``event`` if ``actor`` holds ``permission`` by the roles that the database has in this transaction.

    Args:
        own: the account that is acted on, where its owner needs no permission.

    Raises:
        Forbidden: it does not; raised inside the transaction, so nothing else of it stays.
    """
    if not await _is_own(tx, actor, own) and not await _may(tx, actor, permission):
        raise Forbidden(f"{actor.kind} {actor.id} has no permission {permission}")
    await record(ambient, tx, actor, event)


async def _is_own(tx: Transaction, actor: Actor, account_id: str | None) -> bool:
    if account_id is None or not actor.is_account(account_id):
        return False
    standing = await queries.standing(tx, account_id)
    return standing is not None and standing.active


async def _may(tx: Transaction, actor: Actor, permission: str) -> bool:
    if actor.kind in {ActorKind.OPERATOR, ActorKind.SYSTEM}:
        return True
    if actor.kind is not ActorKind.ACCOUNT:
        return False
    # on another node a token may outlive its account's disabling for a second: it must not suffice to undo that
    standing = await queries.standing(tx, actor.id)
    return standing is not None and standing.active and permission in await queries.permissions(tx, actor.id)
