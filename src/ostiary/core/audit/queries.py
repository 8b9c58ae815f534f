"""All SQL statements on ``audit_events``."""

from typing import Final

import msgspec

from ostiary.core.audit.model import AuditEvent, Event, Outcome, frozen
from ostiary.core.clock import TOLERANCE, exact_moment
from ostiary.core.plug import Actor
from ostiary.store.database import Reader, Row, Transaction

_COLUMNS: Final = (
    "id, at, type, outcome, account_id, session_id, actor_kind, actor_id, source, user_agent, request_id, detail"
)


async def insert(tx: Transaction, event_id: str, at: int, event: Event, actor: Actor, *, detail: str) -> None:
    await tx.execute(
        "insert into audit_events (id, at, type, outcome, account_id, session_id,"
        " actor_kind, actor_id, source, user_agent, request_id, detail)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        event_id,
        at,
        event.type,
        event.outcome,
        event.account_id,
        event.session_id,
        actor.kind,
        actor.id,
        actor.source.address,
        actor.user_agent,
        actor.request_id,
        detail,
    )


async def count_recent(reader: Reader, account_id: str, type_: str, *, now: int, within: int, most: int) -> int:
    """The number of events of this type for the account within the last ``within`` microseconds, up to ``most``."""
    row = await reader.one(
        "select count(*) from (select id from audit_events where account_id = $1 and type = $2 and at > $3"
        " and at <= $4 limit $5) e",
        account_id,
        type_,
        now - within,
        now + TOLERANCE,  # events in the future are not recent (see ostiary.core.clock.is_recent)
        most,
    )
    return 0 if row is None else int(row[0])


async def page(
    reader: Reader, *, account_id: str | None, type_: str | None, at: int, after_id: str, limit: int
) -> list[AuditEvent]:
    """A page of events in the order of their time, starting after (``at``, ``after_id``)."""
    rows = await reader.all(
        f"select {_COLUMNS} from audit_events where (at > $1 or (at = $1 and id > $2))"  # noqa: S608 — a constant
        " and (cast($3 as text) is null or account_id = cast($3 as text))"
        " and (cast($4 as text) is null or type = cast($4 as text)) order by at, id limit $5",
        at,
        after_id,
        account_id,
        type_,
        limit,
    )
    return [_event(row) for row in rows]


def _event(row: Row) -> AuditEvent:
    *before, outcome, account_id, session_id, kind, actor_id, source, user_agent, request_id, detail = row
    event_id, at, type_ = before
    return AuditEvent(
        id=event_id,
        at=exact_moment(at),
        type=type_,
        outcome=Outcome(outcome),
        account_id=account_id,
        session_id=session_id,
        actor_kind=kind,
        actor_id=actor_id,
        source=source,
        user_agent=user_agent,
        request_id=request_id,
        detail=frozen(msgspec.json.decode(detail)),
    )
