"""Every statement on ``audit_events``."""

from ostiary.core.audit.model import Event
from ostiary.core.plug import Actor
from ostiary.store.database import Transaction


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
