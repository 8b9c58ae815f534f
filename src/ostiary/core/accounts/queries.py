"""Every statement on ``accounts``, ``roles``, ``account_roles`` and ``registrations``."""

from typing import Final

import msgspec

from ostiary.core.accounts.email import Email
from ostiary.core.accounts.model import Account, Registration, Standing
from ostiary.store.database import SWEEP_ROWS, Reader, Row, Transaction

# An epoch as everybody but these statements knows it: the account's own count, on top of the realm's.
_EPOCH: Final = "epoch + (select least from realm)"
_COLUMNS: Final = f"id, email, password_hash, {_EPOCH}, disabled_at, verified_at, created_at"


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


async def page(reader: Reader, *, after: str, limit: int) -> list[Account]:
    """Accounts in the order of their addresses, those after ``after``."""
    rows = await reader.all(
        f"select {_COLUMNS}"  # noqa: S608 — a constant
        " from accounts where email_key > $1 order by email_key limit $2",
        after,
        limit,
    )
    return [Account(*row) for row in rows]


async def insert(tx: Transaction, account: Account, email_key: str) -> bool:
    """False when the address is taken. The epoch of ``account`` is its own count, without the realm's."""
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
    rows = await reader.all(
        "select a.epoch + m.least, m.least, a.disabled_at, r.role"
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
    )


async def keep_password_hash(tx: Transaction, account_id: str, *, seen: str) -> bool:
    """Locks the account's row while its password hash is still the one that was seen, and it is not disabled."""
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
    """The same guard, and puts a new hash of the same password in its place."""
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
    """Locks the account's row while it is active and its epoch still the one that was seen."""
    return (
        await tx.execute(
            f"update accounts set epoch = epoch where id = $1 and {_EPOCH} = $2 and disabled_at is null",  # noqa: S608
            account_id,
            epoch,
        )
        == 1
    )


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
    """Lifts the epochs of all accounts at once by ``step``, and to ``at_least`` if that is more. Returns the least one
    that there is then."""
    row = await tx.one(
        "update realm set least = case when least + $1 > $2 then least + $1 else $2 end returning least", step, at_least
    )
    if row is None:
        raise LookupError("realm has no row")
    return int(row[0])


async def set_disabled(tx: Transaction, account_id: str, disabled_at: int | None) -> bool:
    """False when nothing changed: the account was in that state already, or does not exist."""
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
    rows = await reader.all(
        "select r.permissions from roles r join account_roles a on a.role = r.name where a.account_id = $1", account_id
    )
    return tuple(sorted({name for row in rows for name in msgspec.json.decode(row[0], type=list[str])}))


async def role_map(reader: Reader) -> dict[str, frozenset[str]]:
    """role → its permissions."""
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
    """One change of who holds the role at a time: two admins cannot each remove the other as the last but one."""
    await tx.execute("update roles set permissions = permissions where name = $1", role)


async def insert_registration(
    tx: Transaction, token_hash: bytes, email: Email, password_hash: str, *, now: int, expires_at: int
) -> None:
    await tx.execute(
        "insert into registrations (token_hash, email, email_key, password_hash, created_at, expires_at)"
        " values ($1, $2, $3, $4, $5, $6)",
        token_hash,
        email.address,
        email.key,
        password_hash,
        now,
        expires_at,
    )


async def registered_password(reader: Reader, token_hash: bytes, *, now: int) -> str | None:
    """The hash of the password that waits behind a link, or None without such a link."""
    row = await reader.one(
        "select password_hash from registrations where token_hash = $1 and expires_at > $2", token_hash, now
    )
    return None if row is None else str(row[0])


async def take_registration(tx: Transaction, token_hash: bytes, *, now: int) -> Registration | None:
    row = await tx.one(
        "delete from registrations where token_hash = $1 and expires_at > $2 returning email, email_key, password_hash",
        token_hash,
        now,
    )
    return None if row is None else Registration(*row)


async def delete_registrations_of(tx: Transaction, email_key: str) -> None:
    await tx.execute("delete from registrations where email_key = $1", email_key)


async def delete_registrations(tx: Transaction) -> int:
    """Deletes all that wait, and returns how many these were."""
    return await tx.execute("delete from registrations")


async def delete_expired_registrations(tx: Transaction, now: int) -> int:
    """Deletes some whose time is over, and returns how many."""
    return await tx.execute(
        "delete from registrations where token_hash in"
        " (select token_hash from registrations where expires_at <= $1 order by expires_at limit $2)",
        now,
        SWEEP_ROWS,
    )


def _account(row: Row | None) -> Account | None:
    return None if row is None else Account(*row)
