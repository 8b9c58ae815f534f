"""Every statement on ``totp_secrets`` and ``totp_recovery_codes``."""

from ostiary.features.totp.model import Enrolled
from ostiary.store.database import SWEEP_ROWS, Reader, Row, Transaction


async def start(tx: Transaction, account_id: str, sealed_secret: bytes, *, expires_at: int) -> bool:
    """Stores a secret that waits for confirmation and replaces an unconfirmed one. False if a confirmed one exists."""
    return (
        await tx.execute(
            "insert into totp_secrets (account_id, sealed_secret, expires_at, last_step) values ($1, $2, $3, 0)"
            " on conflict (account_id) do update"
            " set sealed_secret = excluded.sealed_secret, expires_at = excluded.expires_at"
            " where totp_secrets.confirmed_at is null",
            account_id,
            sealed_secret,
            expires_at,
        )
        == 1
    )


async def unconfirmed(reader: Reader, account_id: str, *, now: int) -> Enrolled | None:
    return _enrolled(
        await reader.one(
            "select account_id, sealed_secret, last_step from totp_secrets"
            " where account_id = $1 and confirmed_at is null and expires_at > $2",
            account_id,
            now,
        )
    )


async def confirmed(reader: Reader, account_id: str) -> Enrolled | None:
    return _enrolled(
        await reader.one(
            "select account_id, sealed_secret, last_step from totp_secrets"
            " where account_id = $1 and confirmed_at is not null",
            account_id,
        )
    )


async def confirm(tx: Transaction, seen: Enrolled, *, step: int, now: int) -> bool:
    """Makes the ``seen`` secret the account's factor and spends its code for ``step``. False if it was confirmed or
    replaced in the meantime."""
    return (
        await tx.execute(
            "update totp_secrets set confirmed_at = $3, last_step = $4"
            " where account_id = $1 and sealed_secret = $2 and confirmed_at is null",
            seen.account_id,
            seen.sealed_secret,
            now,
            step,
        )
        == 1
    )


async def spend_step(tx: Transaction, seen: Enrolled, *, step: int) -> bool:
    """Spends ``step``. False if it is not later than every step spent before, or if the secret is no longer the
    ``seen`` one: a code of a removed secret must not count for the next secret."""
    return (
        await tx.execute(
            "update totp_secrets set last_step = $3"
            " where account_id = $1 and sealed_secret = $2 and confirmed_at is not null and last_step < $3",
            seen.account_id,
            seen.sealed_secret,
            step,
        )
        == 1
    )


async def sealed_otherwise(tx: Transaction, prefix: bytes, *, limit: int) -> list[Enrolled]:
    """At most ``limit`` secrets whose sealed form does not begin with ``prefix``."""
    rows = await tx.all(
        "select account_id, sealed_secret, last_step from totp_secrets"
        " where substr(sealed_secret, 1, cast($2 as integer)) <> $1 order by account_id limit $3",
        prefix,
        len(prefix),
        limit,
    )
    return [Enrolled(*row) for row in rows]


async def reseal(tx: Transaction, seen: Enrolled, sealed_secret: bytes) -> bool:
    """Stores the same secret, sealed again. False if it was replaced or removed in the meantime."""
    return (
        await tx.execute(
            "update totp_secrets set sealed_secret = $3 where account_id = $1 and sealed_secret = $2",
            seen.account_id,
            seen.sealed_secret,
            sealed_secret,
        )
        == 1
    )


async def remove(tx: Transaction, account_id: str) -> bool:
    """Deletes a confirmed secret and the recovery codes."""
    return (
        await tx.execute("delete from totp_secrets where account_id = $1 and confirmed_at is not null", account_id) == 1
    )


async def delete_expired(tx: Transaction, now: int) -> int:
    """Deletes some secrets that were not confirmed in time, and returns how many. They have no recovery codes."""
    return await tx.execute(
        "delete from totp_secrets where account_id in (select account_id from totp_secrets"
        " where confirmed_at is null and expires_at <= $1 order by expires_at limit $2)",
        now,
        SWEEP_ROWS,
    )


async def insert_recovery_code(tx: Transaction, account_id: str, code_hash: bytes) -> None:
    await tx.execute("insert into totp_recovery_codes (account_id, code_hash) values ($1, $2)", account_id, code_hash)


async def has_recovery_codes(reader: Reader, account_id: str) -> bool:
    row = await reader.one("select 1 from totp_recovery_codes where account_id = $1 limit 1", account_id)
    return row is not None


async def has_recovery_code(reader: Reader, account_id: str, code_hash: bytes) -> bool:
    row = await reader.one(
        "select 1 from totp_recovery_codes where account_id = $1 and code_hash = $2", account_id, code_hash
    )
    return row is not None


async def spend_recovery_code(tx: Transaction, account_id: str, code_hash: bytes) -> bool:
    """Deletes the code. False if it was used in the meantime."""
    return (
        await tx.execute(
            "delete from totp_recovery_codes where account_id = $1 and code_hash = $2", account_id, code_hash
        )
        == 1
    )


def _enrolled(row: Row | None) -> Enrolled | None:
    return None if row is None else Enrolled(*row)
