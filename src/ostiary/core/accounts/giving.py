"""How far somebody who manages accounts reaches: never beyond what they hold themselves, within their token's scope."""

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
    """Raises Forbidden: nobody lifts anybody, themselves included, above their own roles and permissions.

    Both are compared. An application may give a role a meaning of its own that no permission shows, and a token whose
    scope is narrower than its owner's roles must not be a way to all of them.
    """
    if actor.is_trusted or not roles:
        return
    standing = await queries.standing(tx, actor.id) if actor.kind is ActorKind.ACCOUNT else None
    granted = await queries.role_map(tx)
    given = {permission for role in roles for permission in granted.get(role, ())}
    if standing is None or not roles <= set(standing.roles) or not given <= await _held(tx, actor):
        raise Forbidden(f"{actor.kind} {actor.id} gives a role that it does not hold")


async def refuse_to_change_the_more_powerful(tx: Transaction, actor: Actor, account_id: str) -> None:
    """Raises Forbidden where the account holds permissions that the actor lacks. Otherwise a helper who may manage
    accounts could disable or demote an admin."""
    if actor.is_trusted:
        return
    if not {*await queries.permissions(tx, account_id)} <= await _held(tx, actor):
        raise Forbidden(f"{actor.kind} {actor.id} changes account {account_id}, which holds permissions that it lacks")


async def _held(tx: Transaction, actor: Actor) -> frozenset[str]:
    if actor.kind is not ActorKind.ACCOUNT:
        return frozenset()
    held = frozenset(await queries.permissions(tx, actor.id))
    return held if actor.scope is None else held & actor.scope
