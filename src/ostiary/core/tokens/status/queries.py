"""All SQL statements on ``status_lists`` and ``status_slots``, and on the feed entries that concern them."""

from typing import Final

from ostiary.core.revocations import STATUS_SET
from ostiary.core.sessions.model import Session, Slot
from ostiary.store.database import SWEEP_ROWS, Reader, Row, Transaction
from ostiary.verifier.feed_message import EPOCH_RAISED, EVERYTHING, SESSION_ENDED

INDEXES: Final = 2**16
"""Entries of one list that one statement reads."""

# $1 and $2: the first and the last number of the feed; $3: slots that become free before this time are left out
_REFUSED: Final = " union all ".join(
    f"select s.list, s.idx from feed f join status_slots s on {named}"  # noqa: S608 — constants
    f" where f.seq >= $1 and f.seq <= $2 and s.until > $3 and f.kind = '{kind}'"
    for kind, named in (
        (SESSION_ENDED, "s.session_id = f.key"),
        (EPOCH_RAISED, "s.account_id = f.key and s.ver < f.value"),
        (STATUS_SET, "s.list = cast(f.key as bigint) and s.idx = f.value"),
    )
)


async def newest_list(reader: Reader) -> int:
    row = await reader.one("select max(number) from status_lists")
    return 0 if row is None or row[0] is None else int(row[0])


async def open_list(tx: Transaction, number: int, *, now: int) -> None:
    """Creates a list. Does nothing if another transaction was faster."""
    await tx.execute(
        "insert into status_lists (number, created_at) values ($1, $2) on conflict (number) do nothing", number, now
    )


async def take(tx: Transaction, slot: Slot, session: Session, *, until: int) -> bool:
    """Takes the slot. Returns False if it is already taken."""
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


async def keep(tx: Transaction, number: int, index: int, *, until: int) -> None:
    """Keeps a taken slot reserved until at least ``until``."""
    await tx.execute(
        "update status_slots set until = $3 where list = $1 and idx = $2 and until < $3", number, index, until
    )


async def delete_expired(tx: Transaction, now: int) -> int:
    """Frees a batch of slots that no token can carry any more. Returns how many."""
    return await tx.execute(
        "delete from status_slots where (list, idx) in"
        " (select list, idx from status_slots where until <= $1 order by until limit $2)",
        now,
        SWEEP_ROWS,
    )


async def delete_empty(tx: Transaction, *, opened_before: int) -> int:
    """Removes a batch of lists that have no taken slots and will not get any, because a newer list was created before
    ``opened_before``. Returns how many."""
    return await tx.execute(
        "delete from status_lists where number in (select l.number from status_lists l"
        " where exists (select 1 from status_lists n where n.number > l.number and n.created_at <= $1)"
        " and not exists (select 1 from status_slots s where s.list = l.number) order by l.number limit $2)",
        opened_before,
        SWEEP_ROWS,
    )


async def lists(reader: Reader) -> list[int]:
    """The numbers of all lists."""
    return [int(row[0]) for row in await reader.all("select number from status_lists order by number")]


async def is_there(reader: Reader, number: int) -> bool:
    return await reader.one("select 1 from status_lists where number = $1", number) is not None


async def next_revocation(reader: Reader, *, after: int, upto: int) -> int | None:
    """The number of the first feed entry in this range that affects slots."""
    row = await reader.one(
        "select seq from feed where seq > $1 and seq <= $2"  # noqa: S608 — constants
        f" and kind in ('{SESSION_ENDED}', '{EPOCH_RAISED}', '{STATUS_SET}') order by seq limit 1",
        after,
        upto,
    )
    return None if row is None else int(row[0])


async def refused(reader: Reader, first: int, last: int, *, needed: int) -> list[Row]:
    """List and index of the slots whose tokens the entries from ``first`` to ``last`` refuse. A slot may appear
    twice."""
    return await reader.all(_REFUSED, first, last, needed)


async def least_of_everybody(reader: Reader, *, after: int, upto: int) -> int | None:
    """The highest minimum ``ver`` for all tokens that an entry in this range sets."""
    row = await reader.one(
        f"select max(value) from feed where seq > $1 and seq <= $2 and kind = '{EVERYTHING}'",  # noqa: S608 — a constant
        after,
        upto,
    )
    return None if row is None or row[0] is None else int(row[0])


async def older_than(reader: Reader, number: int, start: int, *, ver: int, needed: int) -> list[int]:
    """The indexes of a list whose tokens have a lower ``ver``, among the `INDEXES` entries from ``start``."""
    rows = await reader.all(
        "select idx from status_slots where list = $1 and idx >= $2 and idx < $3 and ver < $4 and until > $5",
        number,
        start,
        start + INDEXES,
        ver,
        needed,
    )
    return [row[0] for row in rows]
