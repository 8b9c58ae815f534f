"""Recording audit events."""

import msgspec

from ostiary.core.audit import queries
from ostiary.core.audit.model import AuditEvent, Event, frozen
from ostiary.core.clock import exact_moment
from ostiary.core.entropy import identifier
from ostiary.core.listeners import announce
from ostiary.core.plug import Actor, Ambient
from ostiary.store.database import Transaction


async def record(ambient: Ambient, tx: Transaction, actor: Actor, event: Event) -> None:
    """Writes the event in the caller's transaction, so that either both the change and its event are committed or
    neither is. Listeners get the event after the commit."""
    event_id, at = identifier("evt", ambient.random), ambient.now()
    await queries.insert(tx, event_id, at, event, actor, detail=msgspec.json.encode(event.detail).decode())
    announce(tx, event.type, lambda: _recorded(event_id, at, event, actor))


def _recorded(event_id: str, at: int, event: Event, actor: Actor) -> AuditEvent:
    return AuditEvent(
        id=event_id,
        at=exact_moment(at),
        type=event.type,
        outcome=event.outcome,
        account_id=event.account_id,
        session_id=event.session_id,
        actor_kind=str(actor.kind),
        actor_id=actor.id,
        source=actor.source.address,
        user_agent=actor.user_agent,
        request_id=actor.request_id,
        detail=frozen(event.detail),
    )
