"""All SQL statements on ``sign_in_attempts``."""

from typing import Final

from ostiary.core.plug import Source
from ostiary.core.sign_in.model import Pending, SignInOptions
from ostiary.store.database import SWEEP_ROWS, Reader, Row, Transaction

MOST_TRIES: Final = 5
"""Wrong codes allowed per attempt. After that the attempt ends and the password is required again."""

_COLUMNS: Final = "account_id, epoch, amr, transport, device_name, device_hash, resource, source"


async def insert(tx: Transaction, token_hash: bytes, pending: Pending, *, expires_at: int) -> None:
    await tx.execute(
        f"insert into sign_in_attempts (token_hash, {_COLUMNS}, tries, expires_at)"  # noqa: S608 — a constant
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10)",
        token_hash,
        pending.account_id,
        pending.epoch,
        " ".join(pending.amr),
        pending.wanted.transport,
        pending.wanted.device_name,
        pending.wanted.device_hash,
        pending.wanted.resource,
        pending.opened_from.address,
        expires_at,
    )


async def find(reader: Reader, token_hash: bytes, *, now: int) -> Pending | None:
    return _pending(
        await reader.one(
            f"select {_COLUMNS} from sign_in_attempts"  # noqa: S608 — a constant
            " where token_hash = $1 and expires_at > $2 and tries < $3",
            token_hash,
            now,
            MOST_TRIES,
        )
    )


async def hold(tx: Transaction, token_hash: bytes, *, now: int) -> Pending | None:
    """Locks the row of the attempt and counts a try, if the attempt has not expired and has a try left."""
    return _pending(
        await tx.one(
            "update sign_in_attempts set tries = tries + 1"  # noqa: S608 — a constant
            f" where token_hash = $1 and expires_at > $2 and tries < $3 returning {_COLUMNS}",
            token_hash,
            now,
            MOST_TRIES,
        )
    )


async def delete(tx: Transaction, token_hash: bytes) -> None:
    await tx.execute("delete from sign_in_attempts where token_hash = $1", token_hash)


async def delete_expired(tx: Transaction, now: int) -> int:
    """Deletes a batch of expired attempts. Returns how many."""
    return await tx.execute(
        "delete from sign_in_attempts where token_hash in"
        " (select token_hash from sign_in_attempts where expires_at <= $1 order by expires_at limit $2)",
        now,
        SWEEP_ROWS,
    )


def _pending(row: Row | None) -> Pending | None:
    if row is None:
        return None
    account_id, epoch, amr, *wanted, source = row
    return Pending(account_id, epoch, tuple(amr.split()), SignInOptions(*wanted), Source(source))
