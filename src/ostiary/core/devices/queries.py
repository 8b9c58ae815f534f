"""All SQL statements on ``devices``."""

from typing import Final, NamedTuple

from ostiary.core.devices.model import Device
from ostiary.store.database import SWEEP_ROWS, Reader, Transaction

_COLUMNS: Final = "id, name, user_agent, source, first_seen_at, last_seen_at"


class Disowned(NamedTuple):
    device_id: str
    account_id: str


async def insert(
    tx: Transaction,
    device: Device,
    *,
    account_id: str,
    token_hash: bytes,
    disown_hash: bytes,
    disown_until: int,
) -> None:
    await tx.execute(
        f"insert into devices ({_COLUMNS}, account_id, token_hash, disown_hash, disown_until)"  # noqa: S608 — a constant
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        device.id,
        device.name,
        device.user_agent,
        device.source,
        device.first_seen_at,
        device.last_seen_at,
        account_id,
        token_hash,
        disown_hash,
        disown_until,
    )


async def see(
    tx: Transaction, token_hash: bytes, *, account_id: str, seen_after: int, now: int, source: str, user_agent: str
) -> Device | None:
    """Locks the account's device with this token and records where it was seen. None if the account has no such device,
    or if the device was not seen since ``seen_after``. A time in the future counts as seen: after a clock was set back,
    every device would otherwise be a new one, and recognising one signs nobody in."""
    row = await tx.one(
        "update devices set last_seen_at = $4, source = $5, user_agent = $6"  # noqa: S608 — a constant
        f" where token_hash = $1 and account_id = $2 and last_seen_at > $3 returning {_COLUMNS}",
        token_hash,
        account_id,
        seen_after,
        now,
        source,
        user_agent,
    )
    return None if row is None else Device(*row)


async def owner(reader: Reader, device_id: str) -> str | None:
    row = await reader.one("select account_id from devices where id = $1", device_id)
    return None if row is None else str(row[0])


async def names(reader: Reader, account_id: str) -> dict[str, str]:
    """The names of the account's devices, by device id."""
    rows = await reader.all("select id, name from devices where account_id = $1", account_id)
    return {row[0]: row[1] for row in rows}


async def of_account(reader: Reader, account_id: str) -> list[Device]:
    """The devices of the account, the most recently seen first."""
    rows = await reader.all(
        f"select {_COLUMNS} from devices where account_id = $1 order by last_seen_at desc, id",  # noqa: S608 — a constant
        account_id,
    )
    return [Device(*row) for row in rows]


async def token_hash(reader: Reader, device_id: str) -> bytes | None:
    """The SHA-256 hash of the token that identifies the device. None if there is no such device."""
    row = await reader.one("select token_hash from devices where id = $1", device_id)
    return None if row is None else bytes(row[0])


async def hold(tx: Transaction, device_id: str, *, account_id: str) -> bool:
    """Locks the row of the device. Returns False if the account has no device with this id."""
    return (
        await tx.execute("update devices set name = name where id = $1 and account_id = $2", device_id, account_id) == 1
    )


async def owner_by_disown_token(reader: Reader, disown_hash: bytes) -> str | None:
    row = await reader.one("select account_id from devices where disown_hash = $1", disown_hash)
    return None if row is None else str(row[0])


async def use_disown_token(tx: Transaction, disown_hash: bytes, *, now: int) -> Disowned | None:
    """Spends the token and locks the row of its device. None if the token is unknown, spent or too old."""
    row = await tx.one(
        "update devices set disown_hash = null where disown_hash = $1 and disown_until > $2 returning id, account_id",
        disown_hash,
        now,
    )
    return None if row is None else Disowned(*row)


async def delete(tx: Transaction, device_id: str) -> None:
    await tx.execute("delete from devices where id = $1", device_id)


async def delete_unseen(tx: Transaction, *, since: int) -> int:
    """Deletes a batch of devices that have no session and were not seen after ``since``. Returns how many."""
    return await tx.execute(
        "delete from devices where id in (select d.id from devices d where d.last_seen_at <= $1"
        " and not exists (select 1 from sessions s where s.device_id = d.id) order by d.last_seen_at limit $2)",
        since,
        SWEEP_ROWS,
    )
