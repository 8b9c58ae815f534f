"""Every statement on ``status_lists`` and ``status_slots``."""

from ostiary.core.sessions.model import Session, Slot
from ostiary.store.database import SWEEP_ROWS, Reader, Transaction


async def newest_list(reader: Reader) -> int:
    row = await reader.one("select max(number) from status_lists")
    return 0 if row is None or row[0] is None else int(row[0])


async def open_list(tx: Transaction, number: int, *, now: int) -> None:
    """Opens a list; nothing happens where another transaction was faster."""
    await tx.execute(
        "insert into status_lists (number, created_at) values ($1, $2) on conflict (number) do nothing", number, now
    )


async def take(tx: Transaction, slot: Slot, session: Session, *, until: int) -> bool:
    """False when somebody has the slot."""
    touched = await tx.execute(
        "insert into status_slots (list, idx, session_id, account_id, ver, until) values ($1, $2, $3, $4, $5, $6)"
        " on conflict (list, idx) do nothing",
        slot.list,
        slot.index,
        session.id,
        session.account_id,
        slot.ver,
        until,
    )
    return touched == 1


async def delete_expired(tx: Transaction, now: int) -> int:
    """Frees some slots that no token can carry any more, and returns how many."""
    return await tx.execute(
        "delete from status_slots where (list, idx) in"
        " (select list, idx from status_slots where until <= $1 order by until limit $2)",
        now,
        SWEEP_ROWS,
    )
