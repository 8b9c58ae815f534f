"""Every statement on ``sessions``."""

from typing import Final

from ostiary.core.sessions.model import EndReason, Session
from ostiary.store.database import SWEEP_ROWS, Reader, Row, Transaction

_COLUMNS: Final = "id, account_id, client_id, created_at, expires_at, auth_time, acr, amr, device_name"


async def insert(tx: Transaction, session: Session, *, user_agent: str, source: str) -> None:
    await tx.execute(
        f"insert into sessions ({_COLUMNS}, last_seen_at, user_agent, source)"  # noqa: S608 — a constant
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $4, $10, $11)",
        session.id,
        session.account_id,
        session.client_id,
        session.created_at,
        session.expires_at,
        session.auth_time,
        session.acr,
        " ".join(session.amr),
        session.device_name,
        user_agent,
        source,
    )


async def hold(tx: Transaction, session_id: str, *, now: int) -> Session | None:
    """Locks the session's row if the session is alive, and notes that it was seen."""
    return _session(
        await tx.one(
            "update sessions set last_seen_at = $2"  # noqa: S608 — a constant
            f" where id = $1 and ended_at is null and expires_at > $2 returning {_COLUMNS}",
            session_id,
            now,
        )
    )


async def end(tx: Transaction, session_id: str, reason: EndReason, *, now: int) -> str | None:
    """Ends a session that is alive and returns its account. None: it had ended, or never was."""
    row = await tx.one(
        "update sessions set ended_at = $2, end_reason = $3"
        " where id = $1 and ended_at is null and expires_at > $2 returning account_id",
        session_id,
        now,
        reason,
    )
    return None if row is None else str(row[0])


async def end_all(tx: Transaction, account_id: str, reason: EndReason, *, now: int) -> list[str]:
    """Ends every session of the account and returns their ids."""
    rows = await tx.all(
        "update sessions set ended_at = $2, end_reason = $3"
        " where account_id = $1 and ended_at is null and expires_at > $2 returning id",
        account_id,
        now,
        reason,
    )
    return [row[0] for row in rows]


async def by_id(reader: Reader, session_id: str) -> Session | None:
    return _session(await reader.one(f"select {_COLUMNS} from sessions where id = $1", session_id))  # noqa: S608


async def delete_expired(tx: Transaction, now: int) -> int:
    """Deletes those that expired first, `SWEEP_ROWS` of them, and returns how many. What refers to them goes with them,
    so it is to be deleted before: see `ostiary.core.tokens.sweep`."""
    return await tx.execute(
        "delete from sessions where id in"
        " (select id from sessions where expires_at <= $1 order by expires_at, id limit $2)",
        now,
        SWEEP_ROWS,
    )


def _session(row: Row | None) -> Session | None:
    if row is None:
        return None
    session_id, account_id, client_id, created_at, expires_at, auth_time, acr, amr, device_name = row
    return Session(
        session_id, account_id, client_id, created_at, expires_at, auth_time, acr, tuple(amr.split()), device_name
    )
