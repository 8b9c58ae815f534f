"""Changes to existing accounts: roles, profile, disabling, and raising the epoch."""

from collections.abc import Callable, Set
from typing import Final

from ostiary.core.accounts import queries
from ostiary.core.accounts.authority import USERS_WRITE, act, check
from ostiary.core.accounts.email import read_email
from ostiary.core.accounts.giving import (
    refuse_to_change_the_more_powerful,
    refuse_to_give_what_is_not_held,
    refuse_unknown_roles,
)
from ostiary.core.accounts.model import ADMIN, Account
from ostiary.core.audit.model import Event
from ostiary.core.plug import Actor, Ambient
from ostiary.core.revocations import Revoking, epoch_raised, everything_revoked, transact
from ostiary.errors import Conflict, InvalidBody, InvalidEmail, NotFound
from ostiary.store.database import Transaction
from ostiary.store.feed import Entry

EPOCHS_OF_AN_ACCOUNT: Final = 2**27
"""The realm's epoch is raised in steps of this size, which no account's own count ever reaches. The realm's epoch is
the number of minutes since 1970 times this step, so ``ver`` stays below 2**53 until the year 2097. Up to that limit,
JSON numbers are exact (RFC 8259 §6)."""

_MINUTE: Final = 60


async def find(ambient: Ambient, email: str) -> Account | None:
    """The account with this address, or None. A text that is not an address also returns None, at the same cost."""
    try:
        key = read_email(ambient.settings, email).key
    except InvalidEmail:
        key = ""  # no account has this key
    return await queries.by_email(ambient.database, key)


async def set_roles(
    ambient: Ambient, actor: Actor, account_id: str, *, add: Set[str] = frozenset(), remove: Set[str] = frozenset()
) -> None:
    """Grants and removes roles, effective at once. Access tokens issued before are refused.

    Raises:
        Forbidden: the actor lacks ``users:write``, grants a role that it does not hold itself, or the account holds
            permissions that the actor lacks.
        NotFound: there is no such account.
        InvalidBody: a role does not exist, or is both granted and removed.
        Conflict: no admin would remain.
    """
    if both := add & remove:
        raise InvalidBody(f"The role {min(both)} is in both lists. A request can either add or remove a role.")

    detail = {"added": sorted(add), "removed": sorted(remove)}
    event = Event("accounts.roles_changed", account_id=account_id, detail=detail)

    async def body(tx: Transaction) -> Revoking[None]:
        await queries.lock_role(tx, ADMIN)
        # first, so that an actor without the permission does not learn which roles and accounts exist
        await act(ambient, tx, actor, USERS_WRITE, event)
        await refuse_to_change_the_more_powerful(tx, actor, account_id)
        await refuse_unknown_roles(tx, add | remove)
        await refuse_to_give_what_is_not_held(tx, actor, add)
        raised = await raise_epoch(ambient, tx, account_id)
        await queries.raise_version(tx, account_id)
        for role in sorted(add):
            await queries.add_role(tx, account_id, role)
        taken = [role for role in sorted(remove) if await queries.remove_role(tx, account_id, role)]
        await _refuse_to_lose_the_last_admin(tx, was_admin=ADMIN in taken)
        return Revoking(None, (raised,))

    await transact(ambient, body)


async def change_profile(
    ambient: Ambient, actor: Actor, account_id: str, change: Callable[[str | None], str], *, if_version: int | None
) -> None:
    """Changes the application's own fields of an account. A change to what is stored already writes nothing, not even
    an audit event.

    Args:
        change: returns the new stored profile for the old one. It may raise InvalidBody.

    Raises:
        Forbidden: the account is not the actor's own, and the actor lacks ``users:write``.
        NotFound: there is no such account.
        Conflict: the version of the account is not ``if_version``.
        InvalidBody: the profile is not valid.
    """
    event = Event("accounts.profile_changed", account_id=account_id)

    async def body(tx: Transaction) -> None:
        await check(ambient, tx, actor, USERS_WRITE, own=account_id)
        await refuse_to_change_the_more_powerful(tx, actor, account_id)
        if await _changes_nothing(tx, account_id, change, if_version):
            return
        await act(ambient, tx, actor, USERS_WRITE, event, own=account_id)
        if not await queries.raise_version(tx, account_id, seen=if_version):
            if await queries.by_id(tx, account_id) is None:
                raise NotFound(f"no account {account_id}")
            raise Conflict("the account was changed in the meantime")
        await queries.keep_profile(tx, account_id, change(await queries.profile(tx, account_id)))

    await ambient.database.transaction(body)


async def _changes_nothing(
    tx: Transaction, account_id: str, change: Callable[[str | None], str], if_version: int | None
) -> bool:
    account = await queries.by_id(tx, account_id)
    if account is None or if_version not in {None, account.version}:
        return False
    stored = await queries.profile(tx, account_id)
    return stored is not None and change(stored) == stored


async def change_disabled(
    ambient: Ambient, tx: Transaction, actor: Actor, account_id: str, *, disabled: bool
) -> tuple[Entry, ...]:
    """Disables or enables an account within the caller's transaction. Returns the entries to append to the feed. The
    complete operation, which also ends sessions, is `ostiary.core.sessions.service.set_disabled`.

    Raises:
        Forbidden: the actor lacks ``users:write``, or the account holds permissions that the actor lacks.
        NotFound: there is no such account.
        Conflict: no admin would remain.
    """
    await queries.lock_role(tx, ADMIN)
    event = Event("accounts.disabled" if disabled else "accounts.enabled", account_id=account_id)
    await act(ambient, tx, actor, USERS_WRITE, event)
    await refuse_to_change_the_more_powerful(tx, actor, account_id)
    raised = await raise_epoch(ambient, tx, account_id)
    standing = await queries.standing(tx, account_id)
    await queries.raise_version(tx, account_id)
    await queries.set_disabled(tx, account_id, ambient.now() if disabled else None)
    was_admin = standing is not None and standing.active and ADMIN in standing.roles
    await _refuse_to_lose_the_last_admin(tx, was_admin=disabled and was_admin)
    return (raised,)


async def raise_epoch(ambient: Ambient, tx: Transaction, account_id: str) -> Entry:
    """Invalidates all access tokens of the account. Locks its row.

    Returns the feed entry that the transaction must append last. Raises NotFound.
    """
    epoch = await queries.raise_epoch(tx, account_id)
    if epoch is None:
        raise NotFound(f"no account {account_id}")
    return epoch_raised(account_id, epoch, now=ambient.now())


async def raise_everything(ambient: Ambient, tx: Transaction) -> Entry:
    """Invalidates all access tokens of all accounts and ends all sessions.

    Returns the feed entry that the transaction must append last.
    """
    # Raised to a value from the clock, not only by one step: a restored backup may not contain earlier raises.
    minutes = ambient.seconds() // _MINUTE
    least = await queries.raise_least(tx, at_least=minutes * EPOCHS_OF_AN_ACCOUNT, step=EPOCHS_OF_AN_ACCOUNT)
    return everything_revoked(least, now=ambient.now())


async def _refuse_to_lose_the_last_admin(tx: Transaction, *, was_admin: bool) -> None:
    if was_admin and await queries.count_active_with_role(tx, ADMIN) == 0:
        raise Conflict("this is the last active admin")
