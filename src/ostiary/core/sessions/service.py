"""Starting and ending sessions."""

from collections.abc import Sequence
from typing import Final

from ostiary.core.accounts.authority import USERS_WRITE, act, check
from ostiary.core.accounts.queries import least_epoch
from ostiary.core.accounts.service import change_disabled, raise_epoch, raise_everything
from ostiary.core.audit.model import Event
from ostiary.core.audit.service import record
from ostiary.core.clock import MICROSECONDS
from ostiary.core.entropy import identifier
from ostiary.core.plug import FIRST_PARTY, Actor, Ambient
from ostiary.core.revocations import Revoking, session_ended, transact
from ostiary.core.sessions import queries
from ostiary.core.sessions.model import EndReason, Newest, Session, SessionOptions
from ostiary.core.sessions.settings import REFUSE, SessionSettings
from ostiary.errors import Forbidden, NotFound
from ostiary.store.database import Transaction
from ostiary.store.feed import Entry
from ostiary.verifier import AAL1, AAL2

_SEVERAL: Final = 2


async def make_room(ambient: Ambient, tx: Transaction, actor: Actor, account_id: str) -> tuple[Entry, ...] | None:
    """Ends the oldest sessions of the account until there is room for one more. Returns the entries that the
    transaction must append to the feed, or None if there is no room and the policy is to refuse.

    The caller holds the lock on the account row, so that concurrent sign-ins cannot exceed the limit together.
    """
    live = await queries.live_of(tx, account_id, now=ambient.now())
    too_many = live[: max(0, len(live) + 1 - ambient.settings.of(SessionSettings).limit)]
    if too_many and ambient.settings.of(SessionSettings).limit_policy == REFUSE:
        return None
    ended = [await end(ambient, tx, actor, listed.session.id, EndReason.LIMIT) for listed in too_many]
    return tuple(entry for entries in ended for entry in entries)


async def start(
    ambient: Ambient, tx: Transaction, actor: Actor, *, account_id: str, amr: tuple[str, ...], wanted: SessionOptions
) -> Session:
    """Starts a session. Its id is always new (session fixation). There must be room for it (see `make_room`)."""
    now, settings = ambient.now(), ambient.settings.of(SessionSettings)
    session = Session(
        id=identifier("ses", ambient.random),
        account_id=account_id,
        client_id=FIRST_PARTY,
        created_at=now,
        expires_at=now + settings.lifetime * MICROSECONDS,
        auth_time=now // MICROSECONDS,
        acr=AAL2 if len(amr) >= _SEVERAL else AAL1,
        amr=(*amr, "mfa") if len(amr) >= _SEVERAL else amr,
        device_name=wanted.device_name,
        device_id=wanted.device_id,
        device_bound=wanted.device_bound,
        idle_at=now + settings.idle * MICROSECONDS,
        resource=wanted.resource,
        least=await least_epoch(tx),
        slot=None,
    )
    await queries.insert(tx, session, user_agent=actor.user_agent, source=actor.source.address)
    return session


async def hold(ambient: Ambient, tx: Transaction, session_id: str) -> Session | None:
    """Locks the row of a live session and extends its idle time."""
    now = ambient.now()
    return await queries.hold(
        tx, session_id, now=now, idle_at=now + ambient.settings.of(SessionSettings).idle * MICROSECONDS
    )


async def lock(ambient: Ambient, tx: Transaction, session_id: str) -> tuple[Session, Newest] | None:
    """Locks the row of a live session, and changes nothing."""
    limit = ambient.settings.of(SessionSettings).refresh_limit
    return await queries.lock(tx, session_id, now=ambient.now(), limit=limit)


async def spend(
    ambient: Ambient, tx: Transaction, session_id: str, generation: int, *, spent: bytes, successor: bytes
) -> Session | None:
    """Replaces the newest refresh token of a live session, and extends its idle time. None, without any change, if the
    newest token is another one, or if something else is wrong with the session: call `lock` to find out why."""
    return await queries.spend(tx, session_id, generation, _counting(ambient), spent=spent, successor=successor)


async def count_refresh(ambient: Ambient, tx: Transaction, session_id: str) -> bool:
    """Counts a refresh that does not spend the newest token, and extends the idle time. Returns False if there were too
    many. The caller holds the lock on the session row."""
    return await queries.count_refresh(tx, session_id, _counting(ambient))


def _counting(ambient: Ambient) -> queries.Counting:
    now, settings = ambient.now(), ambient.settings.of(SessionSettings)
    return queries.Counting(now, now + settings.idle * MICROSECONDS, settings.refresh_limit)


async def end(ambient: Ambient, tx: Transaction, actor: Actor, session_id: str, reason: EndReason) -> tuple[Entry, ...]:
    """Ends a session within the caller's transaction. Returns the entries to append to the feed. Does nothing if the
    session has already ended."""
    now = ambient.now()
    account_id = await queries.end(tx, session_id, reason, now=now)
    if account_id is None:
        return ()
    await _forget(ambient, tx, [session_id])
    event = Event("sessions.ended", account_id=account_id, session_id=session_id, detail={"reason": reason})
    await record(ambient, tx, actor, event)
    return (session_ended(session_id, now=now),)


async def end_own(ambient: Ambient, actor: Actor, session_id: str) -> None:
    """Ends one of the actor's own sessions, effective at once.

    Raises:
        NotFound: the actor has no such live session. The error does not reveal whether another account has it.
    """

    async def body(tx: Transaction) -> Revoking[None]:
        if not actor.is_account(await queries.owner(tx, session_id, now=ambient.now())):
            raise NotFound(f"{actor.id} has no live session {session_id}")
        return Revoking(None, await end(ambient, tx, actor, session_id, EndReason.ENDED_BY_OWNER))

    await transact(ambient, body)


async def end_one(ambient: Ambient, actor: Actor, session_id: str) -> None:
    """Ends a session, effective at once.

    Raises:
        NotFound: there is no such live session, or it is not the actor's own and the actor lacks ``users:write``. The
            error does not reveal which.
    """

    async def body(tx: Transaction) -> Revoking[None]:
        owner = await queries.owner(tx, session_id, now=ambient.now())
        try:
            await check(ambient, tx, actor, USERS_WRITE, own=owner)
        except Forbidden:
            owner = None
        if owner is None:
            raise NotFound(f"no session {session_id} that {actor.id} may end")
        reason = EndReason.ENDED_BY_OWNER if actor.is_account(owner) else EndReason.ENDED_BY_ADMIN
        return Revoking(None, await end(ambient, tx, actor, session_id, reason))

    await transact(ambient, body)


async def end_of_device(ambient: Ambient, tx: Transaction, actor: Actor, device_id: str) -> tuple[Entry, ...]:
    """Ends the sessions on a device within the caller's transaction. Returns the entries to append to the feed."""
    live = await queries.live_on(tx, device_id, now=ambient.now())
    ended = [await end(ambient, tx, actor, session_id, EndReason.DEVICE_FORGOTTEN) for session_id in live]
    return tuple(entry for entries in ended for entry in entries)


async def end_all_of(
    ambient: Ambient, tx: Transaction, account_id: str, reason: EndReason, *, but: str | None = None
) -> Sequence[str]:
    """Ends the sessions of the account, except ``but`` if given, within the caller's transaction. Returns their ids. A
    caller that raises the epoch of the account in the same transaction needs no feed entry for each session."""
    ended = await queries.end_all(tx, account_id, reason, now=ambient.now(), but=but)
    await _forget(ambient, tx, ended)
    return ended


async def sign_out_everywhere(ambient: Ambient, actor: Actor, account_id: str) -> int:
    """Ends all sessions of an account, effective at once. Returns how many.

    Raises:
        Forbidden: the account is not the actor's own, and the actor lacks ``users:write``.
        NotFound: there is no such account.
    """

    event = Event("sessions.ended_all", account_id=account_id)

    async def body(tx: Transaction) -> Revoking[int]:
        await act(ambient, tx, actor, USERS_WRITE, event, own=account_id)
        raised = await raise_epoch(ambient, tx, account_id)
        ended = await end_all_of(ambient, tx, account_id, EndReason.SIGNED_OUT_EVERYWHERE)
        # the new epoch refuses all access tokens at once, so no entry for each session is needed
        return Revoking(len(ended), (raised,))

    return await transact(ambient, body)


async def sign_out_everybody(ambient: Ambient, actor: Actor) -> None:
    """Ends all sessions of all accounts, effective at once. This changes one row, however many sessions there are.

    Raises:
        Forbidden: the actor lacks ``users:write``.
    """

    async def body(tx: Transaction) -> Revoking[None]:
        await act(ambient, tx, actor, USERS_WRITE, Event("sessions.ended_everybodys"))
        return Revoking(None, (await raise_everything(ambient, tx),))

    await transact(ambient, body)


async def set_disabled(ambient: Ambient, actor: Actor, account_id: str, *, disabled: bool) -> None:
    """Disables or enables an account, effective at once. Disabling ends its sessions, and enabling does not restore
    them.

    Raises:
        Forbidden: the actor lacks ``users:write``.
        NotFound: there is no such account.
        Conflict: no admin would remain.
    """

    async def body(tx: Transaction) -> Revoking[None]:
        raised = await change_disabled(ambient, tx, actor, account_id, disabled=disabled)
        if disabled:
            await end_all_of(ambient, tx, account_id, EndReason.ACCOUNT_DISABLED)
        return Revoking(None, raised)

    await transact(ambient, body)


async def _forget(ambient: Ambient, tx: Transaction, ended: Sequence[str]) -> None:
    for forget in ambient.endings:
        for session_id in ended:
            await forget(tx, session_id)
