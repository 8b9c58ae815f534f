"""Recording events."""

import msgspec

from ostiary.core.audit import queries
from ostiary.core.audit.model import Event
from ostiary.core.entropy import identifier
from ostiary.core.plug import Actor, Ambient
from ostiary.store.database import Transaction


async def record(ambient: Ambient, tx: Transaction, actor: Actor, event: Event) -> None:
    """Writes the event in the caller's transaction: what is recorded happened, and what happened is recorded."""
    await queries.insert(
        tx,
        identifier("evt", ambient.random),
        ambient.now(),
        event,
        actor,
        detail=msgspec.json.encode(event.detail).decode(),
    )
