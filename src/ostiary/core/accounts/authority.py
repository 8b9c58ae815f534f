"""Permission and audit in one function: a verb that changes somebody's account cannot have one without the other."""

from dataclasses import dataclass
from typing import Final

from ostiary.core.accounts import queries
from ostiary.core.audit.model import Event
from ostiary.core.audit.service import record
from ostiary.core.clock import MICROSECONDS, is_recent
from ostiary.core.plug import Actor, ActorKind, Ambient
from ostiary.errors import Forbidden, InsufficientUserAuthentication, TokenRevoked
from ostiary.store.database import Reader, Transaction
from ostiary.verifier import AAL1, AAL2

USERS_READ: Final = "users:read"
USERS_WRITE: Final = "users:write"

_LEVELS: Final = {AAL1: 1, AAL2: 2}
_ACR_OF: Final = {level: acr for acr, level in _LEVELS.items()}


@dataclass(frozen=True, slots=True)
class Freshness:
    """How strong and how recent the sign-in of a person must be. Other actors have no sign-in."""

    max_age: int
    """Seconds."""
    aal: int = 1


async def act(
    ambient: Ambient,
    tx: Transaction,
    actor: Actor,
    permission: str,
    event: Event,
    *,
    own: str | None = None,
    fresh: Freshness | None = None,
) -> None:
    """Records ``event`` if ``actor`` holds ``permission``, by the roles that the database has in this transaction and
    within the actor's scope.

    Args:
        own: the account that is acted on, where its owner needs no permission.
        fresh: the sign-in that the verb asks of a person.

    Raises:
        Forbidden: it does not hold it. Raised inside the transaction, so nothing else of it stays.
        InsufficientUserAuthentication: the sign-in is too weak or too old.
        TokenRevoked: the actor's token was issued before its account's epoch was raised.
    """
    await check(ambient, tx, actor, permission, own=own, fresh=fresh)
    await record(ambient, tx, actor, event)


async def check(
    ambient: Ambient,
    reader: Reader,
    actor: Actor,
    permission: str,
    *,
    own: str | None = None,
    fresh: Freshness | None = None,
) -> None:
    """The permission alone, for verbs that only read. Raises what `act` raises."""
    if actor.is_trusted:
        return
    standing = await queries.standing(reader, actor.id) if actor.kind is ActorKind.ACCOUNT else None
    if standing is not None and actor.epoch is not None and actor.epoch < standing.epoch:
        # an application may have kept the principal, and a node may be a second behind
        raise TokenRevoked(f"ver: account {actor.id} has signed out everywhere, or its roles have changed")
    is_active = standing is not None and standing.active
    if not (is_active and (_is_own(actor, own) or await _may(reader, actor, permission))):
        raise Forbidden(f"{actor.kind} {actor.id} has no permission {permission}")
    if fresh is not None and actor.kind is ActorKind.ACCOUNT:
        _check_freshness(actor, fresh, now=ambient.now())


def _check_freshness(actor: Actor, fresh: Freshness, *, now: int) -> None:
    # whole seconds: an age of max_age is not too old yet
    is_fresh = is_recent(actor.auth_time * MICROSECONDS, now=now, within=(fresh.max_age + 1) * MICROSECONDS)
    if _LEVELS.get(actor.acr, 0) < fresh.aal or not is_fresh:
        raise InsufficientUserAuthentication(
            "the sign-in is too weak or too old", max_age=fresh.max_age, acr_values=_ACR_OF[fresh.aal]
        )


def _is_own(actor: Actor, account_id: str | None) -> bool:
    # a token with a scope was issued for that scope, and not for everything that its owner may do
    return account_id is not None and actor.scope is None and actor.is_account(account_id)


async def _may(reader: Reader, actor: Actor, permission: str) -> bool:
    is_within_scope = actor.scope is None or permission in actor.scope
    return is_within_scope and permission in await queries.permissions(reader, actor.id)
