"""Starting and ending sessions."""

from typing import Final

from ostiary.core.accounts.authority import USERS_WRITE, act
from ostiary.core.accounts.service import change_disabled, raise_epoch
from ostiary.core.audit.model import Event
from ostiary.core.audit.service import record
from ostiary.core.clock import MICROSECONDS
from ostiary.core.entropy import identifier
from ostiary.core.plug import Actor, Ambient
from ostiary.core.revocations import Revoking, session_ended, transact
from ostiary.core.sessions import queries
from ostiary.core.sessions.model import FIRST_PARTY, EndReason, Session
from ostiary.store.database import Transaction
from ostiary.store.feed import Entry
from ostiary.verifier import AAL1, AAL2

_SEVERAL: Final = 2


async def start(
    ambient: Ambient,
    tx: Transaction,
    actor: Actor,
    *,
    account_id: str,
    amr: tuple[str, ...],
    device_name: str | None,
) -> Session:
    """A new session, with an id that nothing before it knew (session fixation)."""
    now = ambient.now()
    session = Session(
        id=identifier("ses", ambient.random),
        account_id=account_id,
        client_id=FIRST_PARTY,
        created_at=now,
        expires_at=now + ambient.settings.session_lifetime * MICROSECONDS,
        auth_time=now // MICROSECONDS,
        acr=AAL2 if len(amr) >= _SEVERAL else AAL1,
        amr=(*amr, "mfa") if len(amr) >= _SEVERAL else amr,
        device_name=device_name,
    )
    await queries.insert(tx, session, user_agent=actor.user_agent, source=actor.source.address)
    return session


async def end(ambient: Ambient, tx: Transaction, actor: Actor, session_id: str, reason: EndReason) -> tuple[Entry, ...]:
    """Ends a session within the caller's transaction, and returns what it must append to the feed. Nothing happens to
    a session that has ended."""
    now = ambient.now()
    account_id = await queries.end(tx, session_id, reason, now=now)
    if account_id is None:
        return ()
    event = Event("sessions.ended", account_id=account_id, session_id=session_id, detail={"reason": reason})
    await record(ambient, tx, actor, event)
    return (session_ended(session_id, now=now),)


async def sign_out_everywhere(ambient: Ambient, actor: Actor, account_id: str) -> int:
    """Ends every session of an account, effective at once, and returns how many there were.

    Raises:
        Forbidden: the actor lacks ``users:write``.
        NotFound: there is no such account.
    """

    event = Event("sessions.ended_all", account_id=account_id)

    async def body(tx: Transaction) -> Revoking[int]:
        await act(ambient, tx, actor, USERS_WRITE, event)
        raised = await raise_epoch(ambient, tx, account_id)
        ended = await queries.end_all(tx, account_id, EndReason.SIGNED_OUT_EVERYWHERE, now=ambient.now())
        # the epoch refuses every access token at once: no entry for each session is needed
        return Revoking(len(ended), (raised,))

    return await transact(ambient, body)


async def set_disabled(ambient: Ambient, actor: Actor, account_id: str, *, disabled: bool) -> None:
    """Disables or enables an account, effective at once. Disabling ends its sessions: when it is enabled again, nobody
    is signed in who was before.

    Raises:
        Forbidden: the actor lacks ``users:write``.
        NotFound: there is no such account.
        Conflict: it would leave no admin.
    """

    async def body(tx: Transaction) -> Revoking[None]:
        raised = await change_disabled(ambient, tx, actor, account_id, disabled=disabled)
        if disabled:
            await queries.end_all(tx, account_id, EndReason.ACCOUNT_DISABLED, now=ambient.now())
        return Revoking(None, raised)

    await transact(ambient, body)
