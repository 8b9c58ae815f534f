"""Who may give which role."""

from collections.abc import Iterable, Set

from ostiary.core.accounts import queries
from ostiary.core.plug import Actor, ActorKind
from ostiary.errors import Forbidden, InvalidBody
from ostiary.store.database import Transaction


async def refuse_unknown_roles(tx: Transaction, roles: Iterable[str]) -> None:
    """Raises InvalidBody where one of them does not exist."""
    if not {*roles} <= await queries.role_names(tx):
        raise InvalidBody("There is no such role.")


async def refuse_to_give_what_is_not_held(tx: Transaction, actor: Actor, roles: Set[str]) -> None:
    """Raises Forbidden: who may manage accounts must not lift anybody, themselves included, above their own roles."""
    if actor.is_trusted or not roles:
        return
    held = await queries.standing(tx, actor.id) if actor.kind is ActorKind.ACCOUNT else None
    if held is None or not roles <= set(held.roles):
        raise Forbidden(f"{actor.kind} {actor.id} gives a role that it does not hold")
