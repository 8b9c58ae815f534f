"""Recognising and forgetting devices."""

from ostiary.core.accounts import queries as accounts
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
from ostiary.errors import Forbidden, InvalidToken, NotFound
from ostiary.store.database import Transaction
from ostiary.store.feed import Entry


async def recognise(
    ambient: Ambient, tx: Transaction, actor: Actor, *, account_id: str, shown: bytes | None, name: str
) -> Recognised:
    """The device of a sign-in whose factors are all proved. Call it within the transaction that starts the session.

    Args:
        shown: the SHA-256 hash of the device token that the client sent, if it has the form of one.
        name: the name for a new device.

    A device that is new to the account always gets a newly generated token, whatever the client sent. An attacker who
    plants a known token in a victim's browser must not be able to use it later (session fixation). The caller holds the
    lock on the account row, so that concurrent sign-ins cannot exceed the limit together.
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
    """Forgets a device, effective at once. Its sessions end, and the trust in the device is removed.

    Raises:
        Forbidden: the account is not the actor's own, and the actor lacks ``users:write``.
        NotFound: the account has no such device. The error does not reveal whether another account has it.
    """
    event = Event("devices.forgotten", account_id=account_id, detail={"device": device_id})

    async def body(tx: Transaction) -> Revoking[None]:
        await act(ambient, tx, actor, USERS_WRITE, event, own=account_id)
        await accounts.lock(tx, account_id)
        if not await queries.hold(tx, device_id, account_id=account_id):
            raise NotFound(f"account {account_id} has no device {device_id}")
        return Revoking(None, await _remove(ambient, tx, actor, device_id))

    await transact(ambient, body)


async def forget_one(ambient: Ambient, actor: Actor, device_id: str) -> None:
    """Forgets a device of any account.

    Raises:
        NotFound: there is no such device, or it is not the actor's own and the actor lacks ``users:write``. The error
            does not reveal which.
    """
    owner = await queries.owner(ambient.database, device_id)
    if owner is None:
        raise NotFound(f"no device {device_id}")
    try:
        await forget(ambient, actor, owner, device_id)
    except Forbidden:
        raise NotFound(f"no device {device_id} that {actor.id} may forget") from None


async def disown(ambient: Ambient, actor: Actor, *, token: str) -> None:
    """Forgets a new device with the token from the mail about it, and ends its sessions at once.

    Raises:
        InvalidToken: the token is unknown, used or too old, or the device is already forgotten.
    """
    disown_hash = fingerprint(token, Purpose.DISOWN)
    if disown_hash is None:
        raise InvalidToken("the text does not have the form of a token that disowns a device")

    async def body(tx: Transaction) -> Revoking[bool]:
        owner = await queries.owner_by_disown_token(tx, disown_hash)
        if owner is not None:
            await accounts.lock(tx, owner)
        found = await queries.use_disown_token(tx, disown_hash, now=ambient.now())
        if found is None:
            return Revoking(result=False)
        event = Event("devices.disowned", account_id=found.account_id, detail={"device": found.device_id})
        await record(ambient, tx, actor, event)
        return Revoking(result=True, entries=await _remove(ambient, tx, actor, found.device_id))

    if not await transact(ambient, body):
        raise InvalidToken("the token that disowns a device is unknown, used or expired")


async def sweep(tx: Transaction, now: int) -> int:
    """Forgets a batch of devices that would no longer be recognised. Returns how many."""
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
    # the sessions first: once the device is deleted, they no longer refer to it
    ended = await end_of_device(ambient, tx, actor, device_id)
    await queries.delete(tx, device_id)
    return ended
