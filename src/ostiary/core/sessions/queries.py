"""All SQL statements on ``sessions``."""

from typing import Final, NamedTuple

from ostiary.core.accounts.model import Described
from ostiary.core.accounts.queries import united
from ostiary.core.clock import TOLERANCE
from ostiary.core.sessions.model import EndReason, Listed, Newest, Session, Shown, Slot
from ostiary.store.database import SWEEP_ROWS, Reader, Row, Transaction
from ostiary.store.hot import Rate

_COLUMNS: Final = (
    "id, account_id, client_id, created_at, expires_at, auth_time, acr, amr, device_name, device_id, device_bound,"
    " idle_at, resource, least, status_list, status_index, status_ver"
)
_ALIVE: Final = "ended_at is null and expires_at > $2 and idle_at > $2 and least = (select least from realm)"  # $2: now

# A refresh, counted by GCRA in the session's own row. $2: now. $3: the idle end from now on. $4: the latest time that
# still allows one more. $5: a later time was written by a wrong clock. $6: the time that each one costs.
_COUNTED: Final = (
    "last_seen_at = $2, idle_at = $3,"
    " refresh_tat = case when refresh_tat > $2 and refresh_tat <= $5 then refresh_tat else $2 end + $6"
)
_ALLOWED: Final = "(refresh_tat <= $4 or refresh_tat > $5)"


async def insert(tx: Transaction, session: Session, *, user_agent: str, source: str) -> None:
    await tx.execute(
        "insert into sessions (id, account_id, client_id, created_at, expires_at, auth_time, acr, amr, device_name,"
        " device_id, device_bound, idle_at, resource, least, last_seen_at, user_agent, source)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $4, $15, $16)",
        session.id,
        session.account_id,
        session.client_id,
        session.created_at,
        session.expires_at,
        session.auth_time,
        session.acr,
        " ".join(session.amr),
        session.device_name,
        session.device_id,
        int(session.device_bound),
        session.idle_at,
        session.resource,
        session.least,
        user_agent,
        source,
    )


async def hold(tx: Transaction, session_id: str, *, now: int, idle_at: int) -> Session | None:
    """Locks the session row if the session is alive, and records that it was seen."""
    return _session(
        await tx.one(
            "update sessions set last_seen_at = $2, idle_at = $3"  # noqa: S608 — constants
            f" where id = $1 and {_ALIVE} returning {_COLUMNS}",
            session_id,
            now,
            idle_at,
        )
    )


class Counting(NamedTuple):
    """When a session is refreshed (``now``), when it ends without a further refresh, and how often it may be. Times are
    in microseconds since the epoch."""

    now: int
    idle_at: int
    limit: Rate

    @property
    def parameters(self) -> tuple[int, ...]:
        """From $2 to $6 (see `_COUNTED`)."""
        now, limit = self.now, self.limit
        return now, self.idle_at, now + limit.tolerance, limit.latest(now), limit.interval


async def spend(
    tx: Transaction, session_id: str, generation: int, counting: Counting, *, spent: bytes, successor: bytes
) -> Session | None:
    """Replaces ``spent``, the newest refresh token of a live session, by ``successor``, and counts a refresh. None,
    without any change, if the session has ended or began in the future, if its newest token is another one, or if the
    limit is reached."""
    return _session(
        await tx.one(
            f"update sessions set {_COUNTED}, generation = $7 + 1, refresh_hash = $8"  # noqa: S608 — constants
            f" where id = $1 and {_ALIVE} and {_ALLOWED} and generation = $7 and refresh_hash = $9"
            f" and created_at <= $2 + {TOLERANCE} returning {_COLUMNS}",
            session_id,
            *counting.parameters,
            generation,
            successor,
            spent,
        )
    )


async def count_refresh(tx: Transaction, session_id: str, counting: Counting) -> bool:
    """Counts a refresh that does not spend the newest token. Returns False if the limit is reached."""
    return (
        await tx.execute(
            f"update sessions set {_COUNTED} where id = $1 and {_ALLOWED}",  # noqa: S608 — constants
            session_id,
            *counting.parameters,
        )
        == 1
    )


async def lock(tx: Transaction, session_id: str, *, now: int, limit: Rate) -> tuple[Session, Newest] | None:
    """Locks the row of a live session, and changes nothing."""
    row = await tx.one(
        "update sessions set last_seen_at = last_seen_at"  # noqa: S608 — constants
        f" where id = $1 and {_ALIVE} returning {_COLUMNS}, generation, refresh_hash, refresh_tat",
        session_id,
        now,
    )
    if row is None:
        return None
    *of_session, generation, refresh_hash, tat = row
    return _read(tuple(of_session)), Newest(generation, refresh_hash, next_at=tat - limit.tolerance)


async def keep_newest(tx: Transaction, session_id: str, *, generation: int, refresh_hash: bytes) -> None:
    await tx.execute(
        "update sessions set generation = $2, refresh_hash = $3 where id = $1", session_id, generation, refresh_hash
    )


async def keep_slot(tx: Transaction, session_id: str, slot: Slot) -> None:
    await tx.execute(
        "update sessions set status_list = $2, status_index = $3, status_ver = $4 where id = $1",
        session_id,
        slot.list,
        slot.index,
        slot.ver,
    )


async def leave_slot(tx: Transaction, session_id: str, *, list_number: int, index: int) -> None:
    """If this is the slot of the session, its next access token gets another slot."""
    await tx.execute(
        "update sessions set status_ver = null where id = $1 and status_list = $2 and status_index = $3",
        session_id,
        list_number,
        index,
    )


async def end(tx: Transaction, session_id: str, reason: EndReason, *, now: int) -> str | None:
    """Ends a live session and returns its account id. None if the session had already ended or never existed."""
    row = await tx.one(
        f"update sessions set ended_at = $2, end_reason = $3 where id = $1 and {_ALIVE} returning account_id",  # noqa: S608
        session_id,
        now,
        reason,
    )
    return None if row is None else str(row[0])


async def end_all(
    tx: Transaction, account_id: str, reason: EndReason, *, now: int, but: str | None = None
) -> list[str]:
    """Ends all live sessions of the account, except ``but`` if given. Returns their ids."""
    rows = await tx.all(
        "update sessions set ended_at = $2, end_reason = $3"  # noqa: S608 — a constant
        f" where account_id = $1 and id <> $4 and {_ALIVE} returning id",
        account_id,
        now,
        reason,
        but or "",
    )
    return [row[0] for row in rows]


async def by_id(reader: Reader, session_id: str) -> Session | None:
    return _session(await reader.one(f"select {_COLUMNS} from sessions where id = $1", session_id))  # noqa: S608


async def shown(reader: Reader, session_id: str, account_id: str) -> Shown | None:
    """The account's session, and what the account is. One statement, because clients ask often."""
    rows = await reader.few(
        "select s.created_at, s.expires_at, s.device_name, s.amr, a.email, a.verified_at, a.created_at, o.role,"
        " r.permissions from sessions s join accounts a on a.id = s.account_id"
        " left join account_roles o on o.account_id = a.id left join roles r on r.name = o.role"
        " where s.id = $1 and s.account_id = $2 order by o.role",
        session_id,
        account_id,
    )
    if not rows:
        return None
    created_at, expires_at, device_name, amr, *account, _, _ = rows[0]
    return Shown(
        account=Described(account_id, *account),
        roles=tuple(row[-2] for row in rows if row[-2] is not None),
        permissions=united(row[-1] for row in rows if row[-1] is not None),
        created_at=created_at,
        expires_at=expires_at,
        device_name=device_name,
        amr=tuple(amr.split()),
    )


async def owner(reader: Reader, session_id: str, *, now: int) -> str | None:
    """The account id of a live session."""
    row = await reader.one(f"select account_id from sessions where id = $1 and {_ALIVE}", session_id, now)  # noqa: S608
    return None if row is None else str(row[0])


async def live_of(reader: Reader, account_id: str, *, now: int) -> list[Listed]:
    """The live sessions of the account, the oldest first."""
    rows = await reader.all(
        f"select {_COLUMNS}, last_seen_at, source, user_agent from sessions"  # noqa: S608 — constants
        f" where account_id = $1 and {_ALIVE} order by created_at, id",
        account_id,
        now,
    )
    return [Listed(_read(row[:-3]), *row[-3:]) for row in rows]


async def live_on(reader: Reader, device_id: str, *, now: int) -> list[str]:
    """The ids of the live sessions on a device."""
    rows = await reader.all(
        f"select id from sessions where device_id = $1 and {_ALIVE} order by id",  # noqa: S608 — a constant
        device_id,
        now,
    )
    return [row[0] for row in rows]


async def delete_expired(tx: Transaction, now: int) -> int:
    """Deletes up to `SWEEP_ROWS` sessions, those that expired first. Returns how many. Rows that refer to them are
    deleted by cascade, so delete those first (see `ostiary.core.tokens.sweep`)."""
    return await tx.execute(
        "delete from sessions where id in"
        " (select id from sessions where expires_at <= $1 order by expires_at, id limit $2)",
        now,
        SWEEP_ROWS,
    )


def _session(row: Row | None) -> Session | None:
    return None if row is None else _read(row)


def _read(row: Row) -> Session:
    *plain, device_bound, idle_at, resource, least, status_list, status_index, status_ver = row
    session_id, account_id, client_id, created_at, expires_at, auth_time, acr, amr, device_name, device_id = plain
    return Session(
        id=session_id,
        account_id=account_id,
        client_id=client_id,
        created_at=created_at,
        expires_at=expires_at,
        auth_time=auth_time,
        acr=acr,
        amr=tuple(amr.split()),
        device_name=device_name,
        device_id=device_id,
        device_bound=bool(device_bound),
        idle_at=idle_at,
        resource=resource,
        least=least,
        slot=None if status_ver is None else Slot(status_list, status_index, status_ver),
    )
