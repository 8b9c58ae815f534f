"""Recognising a device, and forgetting it."""

from ostiary.core.accounts.authority import USERS_WRITE, act
from ostiary.core.audit.model import Event
from ostiary.core.audit.service import record
from ostiary.core.clock import MICROSECONDS
from ostiary.core.devices import queries
from ostiary.core.devices.model import ADDED, DISOWNABLE, REMEMBERED, Device, Recognised, superfluous
from ostiary.core.entropy import identifier
from ostiary.core.opaque import Purpose, fingerprint, new_token
from ostiary.core.plug import Actor, Ambient
from ostiary.core.revocations import Revoking, transact
from ostiary.core.sessions.queries import live_of
from ostiary.core.sessions.service import end_of_device
from ostiary.errors import InvalidToken, NotFound
from ostiary.store.database import Transaction
from ostiary.store.feed import Entry


async def recognise(
    ambient: Ambient, tx: Transaction, actor: Actor, *, account_id: str, shown: bytes | None, name: str
) -> Recognised:
    """The device of a sign-in whose factors are all proved, within the transaction that starts its session.

    Args:
        shown: the SHA-256 of the device token that came along, if it has the form of one.
        name: what a new device is to be called.

    A device that the account was not seen on before gets a token of its own, whatever was shown: whoever plants a token
    of their choice in somebody's browser must not be recognised there (session fixation). The caller holds the
    account's row, so that sign-ins at once cannot pass the limit together.
    """
    now = ambient.now()
    if shown is not None:
        known = await queries.see(
            tx,
            shown,
            account_id=account_id,
            seen_after=now - REMEMBERED * MICROSECONDS,
            now=now,
            source=actor.source.address,
            user_agent=actor.user_agent,
        )
        if known is not None:
            return Recognised(known.id, known.name, token=None, disown=None)
    await _make_room(tx, account_id, now=now)
    return await _add(ambient, tx, actor, account_id, name)


async def forget(ambient: Ambient, actor: Actor, account_id: str, device_id: str) -> None:
    """Forgets a device: its sessions end, effective at once, and what was trusted because of it goes with it.

    Raises:
        Forbidden: the account is not the actor's own, and it lacks ``users:write``.
        NotFound: the account has no such device; whether another has cannot be told.
    """
    event = Event("devices.forgotten", account_id=account_id, detail={"device": device_id})

    async def body(tx: Transaction) -> Revoking[None]:
        await act(ambient, tx, actor, USERS_WRITE, event, own=account_id)
        if not await queries.hold(tx, device_id, account_id=account_id):
            raise NotFound(f"account {account_id} has no device {device_id}")
        return Revoking(None, await _remove(ambient, tx, actor, device_id))

    await transact(ambient, body)


async def disown(ambient: Ambient, actor: Actor, *, token: str) -> None:
    """Uses the link of the mail about a new device: forgets it, and ends its sessions at once.

    Raises:
        InvalidToken: unknown, used, too old, or the device is forgotten already.
    """
    disown_hash = fingerprint(token, Purpose.DISOWN)
    if disown_hash is None:
        raise InvalidToken("not a token that disowns a device")

    async def body(tx: Transaction) -> Revoking[bool]:
        found = await queries.use_disown_token(tx, disown_hash, now=ambient.now())
        if found is None:
            return Revoking(result=False)
        event = Event("devices.disowned", account_id=found.account_id, detail={"device": found.device_id})
        await record(ambient, tx, actor, event)
        return Revoking(result=True, entries=await _remove(ambient, tx, actor, found.device_id))

    if not await transact(ambient, body):
        raise InvalidToken("the token that disowns a device is used or expired")


async def sweep(tx: Transaction, now: int) -> int:
    """Forgets some devices that would not be recognised any more, and returns how many."""
    return await queries.delete_unseen(tx, since=now - REMEMBERED * MICROSECONDS)


async def _add(ambient: Ambient, tx: Transaction, actor: Actor, account_id: str, name: str) -> Recognised:
    now = ambient.now()
    token, disowning = new_token(Purpose.DEVICE, ambient.random), new_token(Purpose.DISOWN, ambient.random)
    device = Device(
        id=identifier("dev", ambient.random),
        name=name,
        user_agent=actor.user_agent,
        source=actor.source.address,
        first_seen_at=now,
        last_seen_at=now,
    )
    await queries.insert(
        tx,
        device,
        account_id=account_id,
        token_hash=token.fingerprint,
        disown_hash=disowning.fingerprint,
        disown_until=now + DISOWNABLE * MICROSECONDS,
    )
    event = Event(ADDED, account_id=account_id, detail={"device": device.id, "name": name})
    await record(ambient, tx, actor, event)
    return Recognised(device.id, name, token=token.text, disown=disowning.text)


async def _make_room(tx: Transaction, account_id: str, *, now: int) -> None:
    devices = await queries.of_account(tx, account_id)
    live = await live_of(tx, account_id, now=now)
    in_use = {listed.session.device_id for listed in live if listed.session.device_id is not None}
    for device in superfluous(devices, in_use=in_use):
        await queries.delete(tx, device.id)


async def _remove(ambient: Ambient, tx: Transaction, actor: Actor, device_id: str) -> tuple[Entry, ...]:
    # the sessions first: once the device is gone, they no longer say that they are of it
    ended = await end_of_device(ambient, tx, actor, device_id)
    await queries.delete(tx, device_id)
    return ended
