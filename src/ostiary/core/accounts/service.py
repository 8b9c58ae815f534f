"""What can be done to an account that exists: roles, disabling, and raising its epoch."""

from collections.abc import Set
from typing import Final

from ostiary.core.accounts import queries
from ostiary.core.accounts.authority import USERS_WRITE, act
from ostiary.core.accounts.email import parse_email
from ostiary.core.accounts.model import ADMIN, Account
from ostiary.core.audit.model import Event
from ostiary.core.plug import Actor, ActorKind, Ambient
from ostiary.core.revocations import Revoking, epoch_raised, everything_revoked, transact
from ostiary.errors import Conflict, Forbidden, InvalidBody, InvalidEmail, NotFound
from ostiary.store.database import Transaction
from ostiary.store.feed import Entry

EPOCHS_OF_AN_ACCOUNT: Final = 2**27
"""By as much the realm's epoch is raised, so that no account has ever counted as far. With minutes since 1970 before
it, ``ver`` stays below 2**53 until the year 2097: JSON numbers are exact so far (RFC 8259 §6)."""

_MINUTE: Final = 60


async def find(ambient: Ambient, email: str) -> Account | None:
    """The account with this address, or None: also for a text that is no address, and at the same cost."""
    try:
        key = parse_email(email).key
    except InvalidEmail:
        key = ""  # nobody has it
    return await queries.by_email(ambient.database, key)


async def set_roles(
    ambient: Ambient, actor: Actor, account_id: str, *, add: Set[str] = frozenset(), remove: Set[str] = frozenset()
) -> None:
    """Gives and takes roles, effective at once: access tokens issued before are refused.

    Raises:
        Forbidden: the actor lacks ``users:write``, or gives a role that it does not hold itself.
        NotFound: there is no such account.
        InvalidBody: there is no such role, or one is both given and taken.
        Conflict: it would leave no admin.
    """
    if both := add & remove:
        raise InvalidBody(f"The role {min(both)} cannot be given and taken at once.")

    detail = {"added": sorted(add), "removed": sorted(remove)}
    event = Event("accounts.roles_changed", account_id=account_id, detail=detail)

    async def body(tx: Transaction) -> Revoking[None]:
        await queries.lock_role(tx, ADMIN)
        # first of all: whoever may not do this does not learn either which roles and accounts there are
        await act(ambient, tx, actor, USERS_WRITE, event)
        if not {*add, *remove} <= await queries.role_names(tx):
            raise InvalidBody("There is no such role.")
        await _refuse_to_give_what_is_not_held(tx, actor, add)
        raised = await raise_epoch(ambient, tx, account_id)
        for role in sorted(add):
            await queries.add_role(tx, account_id, role)
        taken = [role for role in sorted(remove) if await queries.remove_role(tx, account_id, role)]
        await _refuse_to_lose_the_last_admin(tx, was_admin=ADMIN in taken)
        return Revoking(None, (raised,))

    await transact(ambient, body)


async def change_disabled(
    ambient: Ambient, tx: Transaction, actor: Actor, account_id: str, *, disabled: bool
) -> tuple[Entry, ...]:
    """Disables or enables an account within the caller's transaction, and returns what it must append to the feed. The
    whole verb, which also ends sessions, is `ostiary.core.sessions.service.set_disabled`.

    Raises:
        Forbidden: the actor lacks ``users:write``.
        NotFound: there is no such account.
        Conflict: it would leave no admin.
    """
    await queries.lock_role(tx, ADMIN)
    event = Event("accounts.disabled" if disabled else "accounts.enabled", account_id=account_id)
    await act(ambient, tx, actor, USERS_WRITE, event)
    raised = await raise_epoch(ambient, tx, account_id)
    standing = await queries.standing(tx, account_id)
    await queries.set_disabled(tx, account_id, ambient.now() if disabled else None)
    was_admin = standing is not None and standing.active and ADMIN in standing.roles
    await _refuse_to_lose_the_last_admin(tx, was_admin=disabled and was_admin)
    return (raised,)


async def raise_epoch(ambient: Ambient, tx: Transaction, account_id: str) -> Entry:
    """Makes every access token of the account invalid. Locks its row.

    Returns the feed entry that the transaction must append last. Raises NotFound.
    """
    epoch = await queries.raise_epoch(tx, account_id)
    if epoch is None:
        raise NotFound(f"no account {account_id}")
    return epoch_raised(account_id, epoch, now=ambient.now())


async def raise_everything(ambient: Ambient, tx: Transaction) -> Entry:
    """Makes every access token of every account invalid, and ends every session with it.

    Returns the feed entry that the transaction must append last.
    """
    # By the clock, not only by one more: a backup may have lost how often it was raised before.
    minutes = ambient.seconds() // _MINUTE
    least = await queries.raise_least(tx, at_least=minutes * EPOCHS_OF_AN_ACCOUNT, step=EPOCHS_OF_AN_ACCOUNT)
    return everything_revoked(least, now=ambient.now())


async def _refuse_to_give_what_is_not_held(tx: Transaction, actor: Actor, add: Set[str]) -> None:
    # Somebody who may manage accounts must not lift anybody, or themselves, above their own roles
    if actor.kind is not ActorKind.ACCOUNT:
        return
    held = await queries.standing(tx, actor.id)
    if held is None or not add <= set(held.roles):
        raise Forbidden(f"account {actor.id} gives a role that it does not hold")


async def _refuse_to_lose_the_last_admin(tx: Transaction, *, was_admin: bool) -> None:
    if was_admin and await queries.count_active_with_role(tx, ADMIN) == 0:
        raise Conflict("this is the last active admin")
