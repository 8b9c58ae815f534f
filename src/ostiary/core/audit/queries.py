"""Every statement on ``audit_events``."""

from ostiary.core.audit.model import Event
from ostiary.core.plug import Actor
from ostiary.store.database import Reader, Transaction


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


async def count(reader: Reader, account_id: str, type_: str, *, since: int, most: int) -> int:
    """How many events of the type an account had after that, counted no further than ``most``."""
    row = await reader.one(
        "select count(*) from (select id from audit_events where account_id = $1 and type = $2 and at > $3 limit $4) e",
        account_id,
        type_,
        since,
        most,
    )
    return 0 if row is None else int(row[0])
