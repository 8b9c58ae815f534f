"""All SQL statements on ``accounts``, ``account_profiles``, ``roles``, ``account_roles``, ``realm`` and
``registrations``."""

from collections.abc import Iterable
from typing import Final

import msgspec

from ostiary.core.accounts.email import Email
from ostiary.core.accounts.model import Account, Registration, Standing
from ostiary.store.database import SWEEP_ROWS, Reader, Row, Transaction

# The epoch as all other code sees it: the account's own count added to the realm's minimum.
_EPOCH: Final = "epoch + (select least from realm)"
_COLUMNS: Final = f"id, email, password_hash, {_EPOCH}, disabled_at, verified_at, created_at, version"


async def by_email(reader: Reader, email_key: str) -> Account | None:
    return _account(
        await reader.one(
            f"select {_COLUMNS} from accounts where email_key = $1",  # noqa: S608 — a constant
            email_key,
        )
    )


async def by_id(reader: Reader, account_id: str) -> Account | None:
    return _account(
        await reader.one(
            f"select {_COLUMNS} from accounts where id = $1",  # noqa: S608 — a constant
            account_id,
        )
    )


async def page(reader: Reader, *, after: str, limit: int) -> list[tuple[Account, str]]:
    """A page of accounts in the order of their addresses, starting after ``after``."""
    rows = await reader.all(
        f"select {_COLUMNS}, email_key"  # noqa: S608 — a constant
        " from accounts where email_key > $1 order by email_key limit $2",
        after,
        limit,
    )
    return [(Account(*row[:-1]), row[-1]) for row in rows]


async def roles_of_page(reader: Reader, *, after: str, last: str) -> dict[str, tuple[str, ...]]:
    """The roles of the accounts of a `page` that ends with the key ``last``, by account."""
    rows = await reader.all(
        "select account_id, role from account_roles where account_id in"
        " (select id from accounts where email_key > $1 and email_key <= $2) order by role",
        after,
        last,
    )
    found: dict[str, tuple[str, ...]] = {}
    for account_id, role in rows:
        found[account_id] = (*found.get(account_id, ()), role)
    return found


async def profiles_of_page(reader: Reader, *, after: str, last: str) -> dict[str, str]:
    """The stored profiles of the accounts of a `page` that ends with the key ``last``, by account."""
    rows = await reader.all(
        "select account_id, profile from account_profiles where account_id in"
        " (select id from accounts where email_key > $1 and email_key <= $2)",
        after,
        last,
    )
    return {row[0]: row[1] for row in rows}


async def profile(reader: Reader, account_id: str) -> str | None:
    row = await reader.one("select profile from account_profiles where account_id = $1", account_id)
    return None if row is None else str(row[0])


async def keep_profile(tx: Transaction, account_id: str, profile: str) -> None:
    await tx.execute(
        "insert into account_profiles (account_id, profile) values ($1, $2)"
        " on conflict (account_id) do update set profile = excluded.profile",
        account_id,
        profile,
    )


async def raise_version(tx: Transaction, account_id: str, *, seen: int | None = None) -> bool:
    """Locks the account row and counts a change. Returns False if there is no such account or its version is not
    ``seen``."""
    return (
        await tx.execute(
            "update accounts set version = version + 1"
            " where id = $1 and (cast($2 as bigint) is null or version = cast($2 as bigint))",
            account_id,
            seen,
        )
        == 1
    )


async def insert(tx: Transaction, account: Account, email_key: str) -> bool:
    """Inserts the account. Returns False if the address is taken. ``account.epoch`` is its own count, without the
    realm's."""
    touched = await tx.execute(
        "insert into accounts (id, email, email_key, password_hash, epoch, disabled_at, verified_at, created_at)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (email_key) do nothing",
        account.id,
        account.email,
        email_key,
        account.password_hash,
        account.epoch,
        account.disabled_at,
        account.verified_at,
        account.created_at,
    )
    return touched == 1


async def standing(reader: Reader, account_id: str) -> Standing | None:
    rows = await reader.few(
        "select a.epoch + m.least, m.least, a.disabled_at, r.role,"
        " case when a.verified_at is null then null else a.email end, m.issuer"
        " from accounts a cross join realm m left join account_roles r on r.account_id = a.id"
        " where a.id = $1 order by r.role",
        account_id,
    )
    if not rows:
        return None
    return Standing(
        account_id=account_id,
        epoch=rows[0][0],
        least=rows[0][1],
        active=rows[0][2] is None,
        roles=tuple(row[3] for row in rows if row[3] is not None),
        verified_email=rows[0][4],
        issuer=rows[0][5],
    )


async def keep_password_hash(tx: Transaction, account_id: str, *, seen: str) -> bool:
    """Locks the account row. Returns False if the password hash is no longer ``seen`` or the account is disabled."""
    return (
        await tx.execute(
            "update accounts set password_hash = password_hash"
            " where id = $1 and password_hash = $2 and disabled_at is null",
            account_id,
            seen,
        )
        == 1
    )


async def replace_password_hash(tx: Transaction, account_id: str, *, seen: str, new: str) -> bool:
    """Stores a new password hash under the same conditions as `keep_password_hash`."""
    return (
        await tx.execute(
            "update accounts set password_hash = $3 where id = $1 and password_hash = $2 and disabled_at is null",
            account_id,
            seen,
            new,
        )
        == 1
    )


async def hold(tx: Transaction, account_id: str, *, epoch: int) -> bool:
    """Locks the account row. Returns False if the account is not active or its epoch is no longer ``epoch``."""
    return (
        await tx.execute(
            f"update accounts set epoch = epoch where id = $1 and {_EPOCH} = $2 and disabled_at is null",  # noqa: S608
            account_id,
            epoch,
        )
        == 1
    )


async def lock(tx: Transaction, account_id: str) -> bool:
    """Locks the account row. Returns False if there is no such account."""
    return await tx.execute("update accounts set epoch = epoch where id = $1", account_id) == 1


async def raise_epoch(tx: Transaction, account_id: str) -> int | None:
    row = await tx.one(
        f"update accounts set epoch = epoch + 1 where id = $1 returning {_EPOCH}",  # noqa: S608 — a constant
        account_id,
    )
    return None if row is None else int(row[0])


async def least_epoch(reader: Reader) -> int:
    row = await reader.one("select least from realm")
    if row is None:
        raise LookupError("realm has no row")
    return int(row[0])


async def raise_least(tx: Transaction, *, at_least: int, step: int) -> int:
    """Raises the epochs of all accounts at once by ``step``, or to ``at_least`` if that is more. Returns the new
    minimum."""
    row = await tx.one(
        "update realm set least = case when least + $1 > $2 then least + $1 else $2 end returning least", step, at_least
    )
    if row is None:
        raise LookupError("realm has no row")
    return int(row[0])


async def issuer(reader: Reader) -> str | None:
    """The issuer that the database belongs to."""
    row = await reader.one("select issuer from realm")
    return None if row is None or row[0] is None else str(row[0])


async def claim_issuer(tx: Transaction, issuer: str) -> str:
    """Records the issuer if there is none yet. Returns the one that is recorded then."""
    row = await tx.one("update realm set issuer = coalesce(issuer, $1) returning issuer", issuer)
    if row is None:
        raise LookupError("realm has no row")
    return str(row[0])


async def replace_issuer(tx: Transaction, issuer: str) -> None:
    await tx.execute("update realm set issuer = $1", issuer)


async def set_disabled(tx: Transaction, account_id: str, disabled_at: int | None) -> bool:
    """Returns False if nothing changed: the account was already in that state, or does not exist."""
    return (
        await tx.execute(
            "update accounts set disabled_at = cast($2 as bigint)"
            " where id = $1 and (disabled_at is null) <> (cast($2 as bigint) is null)",
            account_id,
            disabled_at,
        )
        == 1
    )


async def role_names(reader: Reader) -> frozenset[str]:
    return frozenset(row[0] for row in await reader.all("select name from roles"))


async def permissions(reader: Reader, account_id: str) -> tuple[str, ...]:
    rows = await reader.few(
        "select r.permissions from roles r join account_roles a on a.role = r.name where a.account_id = $1", account_id
    )
    return united(row[0] for row in rows)


def united(stored: Iterable[str]) -> tuple[str, ...]:
    """The permissions of several roles, each as its row stores them."""
    return tuple(sorted({name for each in stored for name in msgspec.json.decode(each, type=list[str])}))


async def role_map(reader: Reader) -> dict[str, frozenset[str]]:
    """The permissions of each role, by role name."""
    rows = await reader.all("select name, permissions from roles")
    return {row[0]: frozenset(msgspec.json.decode(row[1], type=list[str])) for row in rows}


async def add_role(tx: Transaction, account_id: str, role: str) -> bool:
    return (
        await tx.execute(
            "insert into account_roles (account_id, role) values ($1, $2) on conflict (account_id, role) do nothing",
            account_id,
            role,
        )
        == 1
    )


async def remove_role(tx: Transaction, account_id: str, role: str) -> bool:
    return await tx.execute("delete from account_roles where account_id = $1 and role = $2", account_id, role) == 1


async def count_active_with_role(reader: Reader, role: str) -> int:
    row = await reader.one(
        "select count(*) from account_roles r join accounts a on a.id = r.account_id"
        " where r.role = $1 and a.disabled_at is null",
        role,
    )
    return int(row[0]) if row else 0


async def lock_role(tx: Transaction, role: str) -> None:
    """Serialises changes of who holds the role. Otherwise the last two admins could remove each other at the same
    time."""
    await tx.execute("update roles set permissions = permissions where name = $1", role)


async def insert_registration(
    tx: Transaction,
    token_hash: bytes,
    email: Email,
    password_hash: str,
    *,
    profile: str | None,
    now: int,
    expires_at: int,
) -> None:
    await tx.execute(
        "insert into registrations (token_hash, email, email_key, password_hash, created_at, expires_at, profile)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        token_hash,
        email.address,
        email.key,
        password_hash,
        now,
        expires_at,
        profile,
    )


async def registered_password(reader: Reader, token_hash: bytes, *, now: int) -> str | None:
    """The password hash of the registration that a link belongs to. None if there is no such link."""
    row = await reader.one(
        "select password_hash from registrations where token_hash = $1 and expires_at > $2", token_hash, now
    )
    return None if row is None else str(row[0])


async def take_registration(tx: Transaction, token_hash: bytes, *, now: int) -> Registration | None:
    row = await tx.one(
        "delete from registrations where token_hash = $1 and expires_at > $2 returning email, email_key,"
        " password_hash, profile",
        token_hash,
        now,
    )
    return None if row is None else Registration(*row)


async def delete_registrations_of(tx: Transaction, email_key: str) -> None:
    await tx.execute("delete from registrations where email_key = $1", email_key)


async def delete_registrations(tx: Transaction) -> int:
    """Deletes all pending registrations. Returns how many."""
    return await tx.execute("delete from registrations")


async def delete_expired_registrations(tx: Transaction, now: int) -> int:
    """Deletes a batch of expired registrations. Returns how many."""
    return await tx.execute(
        "delete from registrations where token_hash in"
        " (select token_hash from registrations where expires_at <= $1 order by expires_at limit $2)",
        now,
        SWEEP_ROWS,
    )


def _account(row: Row | None) -> Account | None:
    return None if row is None else Account(*row)
