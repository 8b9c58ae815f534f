"""Refresh: a refresh token is spent for the next one.

What the session row says about a token whose MAC is good:

===============================  ================================================================
the token's generation           answer
===============================  ================================================================
equal to the row's, same hash    it is spent, and its successor is issued
equal to the row's, another hash reuse: the database was rolled back or forked
older, within its grace period   the same successor again
older, otherwise                 reuse: the session ends for every holder (RFC 9700 §4.14.2)
newer                            401 and no end: the database has lost history
===============================  ================================================================

The limit on refreshes counts in the row as well. It never answers before reuse is ruled out: a 429 would hide a thief.
"""

import hmac
import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeAlias

from ostiary.core.accounts import queries as accounts
from ostiary.core.audit.model import Event, Outcome
from ostiary.core.audit.queries import count_recent
from ostiary.core.audit.service import record
from ostiary.core.clock import MICROSECONDS, is_recent
from ostiary.core.devices import queries as devices
from ostiary.core.opaque import Purpose, fingerprint
from ostiary.core.plug import Actor, Ambient, Mail
from ostiary.core.revocations import Revoking, transact
from ostiary.core.sessions.model import EndReason, Newest, Session
from ostiary.core.sessions.service import count_refresh, end, lock, spend
from ostiary.core.tokens import former, grace
from ostiary.core.tokens.former import FormerToken
from ostiary.core.tokens.grace import Presented
from ostiary.core.tokens.issuing import audience, grant, new_refresh_token, refuse_when_unable_to_sign
from ostiary.core.tokens.mails import reused
from ostiary.core.tokens.model import Behind, Granted, NotAlive, Reused
from ostiary.core.tokens.refresh_token import RefreshToken, new_salt, read, successor_of
from ostiary.errors import InvalidToken, RateLimited, RefreshTokenReused
from ostiary.store.database import Transaction

_LOG: Final = logging.getLogger("ostiary.tokens")

REPEATED: Final = "tokens.refresh_repeated"
REUSED: Final = "tokens.refresh_token_reused"
STORE_BEHIND: Final = "tokens.store_behind"

_TOLD: Final = 10
"""Mails about reuse, and events that a holder can cause again and again, for one account per hour."""
_HOUR: Final = 3600

Rotation: TypeAlias = Granted | Reused | NotAlive | Behind


async def refresh(
    ambient: Ambient, actor: Actor, refresh_token: str, *, device_token: str | None = None, resource: str | None = None
) -> Granted:
    """Spends a refresh token and grants the next token set.

    If a spent token is used again, its session ends at once for every holder of the token family (RFC 9700 §4.14.2).
    The exception is a client that may have lost the response: within the grace period it gets the same successor again.

    Args:
        device_token: the device token that the client sends.
        resource: the audience of this access token, if it differs from the one chosen at sign-in.

    Raises:
        InvalidToken: the token is unknown or spent, or its session or account is no longer active. The client cannot
            tell which.
        InvalidTarget: the resource is not allowed. The token is not spent.
        RateLimited: the session was refreshed too often. The token is not spent.
        Unavailable: nothing can be signed at the moment. The token is not spent.
    """
    refuse_when_unable_to_sign(ambient)
    # text that is no token of ours costs no statement
    token = read(ambient.vault, refresh_token) or await former.find(ambient.database, refresh_token)
    if token is None:
        raise InvalidToken("not a refresh token that was issued here")
    device_hash = fingerprint(device_token, Purpose.DEVICE) if device_token else None
    asked = _Asked(actor, token, device_hash, resource)

    # Refusals are returned and committed before they are raised. Raising inside would roll back the end of the family.
    match await transact(ambient, partial(_rotate, ambient, asked)):
        case Granted() as granted:
            return granted
        case Reused(session_id, mail):
            if mail is not None:
                ambient.mail.post(mail)
            raise RefreshTokenReused(f"session {session_id} is ended")
        case Behind(session_id):
            _LOG.warning(STORE_BEHIND, extra={"session": session_id})
            raise InvalidToken(f"the token is newer than session {session_id}: the database has lost history")
        case NotAlive(reason):
            raise InvalidToken(reason)


@dataclass(frozen=True, slots=True)
class _Asked:
    actor: Actor
    token: Presented
    device_hash: bytes | None
    resource: str | None


async def _rotate(ambient: Ambient, asked: _Asked, tx: Transaction) -> Revoking[Rotation]:
    # The session row is the lock. Logout, reuse and other refreshes of this family wait here or find the session ended.
    if isinstance(asked.token, RefreshToken):
        salt = new_salt(ambient.vault, ambient.random)
        successor = successor_of(ambient.vault, asked.token, salt)
        generation, spent = asked.token.generation, asked.token.hash
        session = await spend(ambient, tx, successor.session_id, generation, spent=spent, successor=successor.hash)
        if session is not None:
            await grace.begin(ambient, tx, asked.token, salt)
            return await _granted(ambient, asked, tx, session, successor.text)
    locked = await lock(ambient, tx, asked.token.session_id)
    if locked is None:
        return Revoking(NotAlive(f"session {asked.token.session_id} has ended"))
    session, newest = locked
    if not is_recent(session.created_at, now=ambient.now(), within=session.expires_at - session.created_at):
        # its tokens would be refused everywhere, because they would state a sign-in after their issue
        return Revoking(NotAlive(f"session {session.id} began in the future: the clock is or was wrong"))
    if isinstance(asked.token, FormerToken):
        return await _rotate_former(ambient, asked, asked.token, tx, session, newest)
    if asked.token.generation > newest.generation:
        return await _store_behind(ambient, asked, tx, session)
    if (asked.token.generation, asked.token.hash) == (newest.generation, newest.hash):
        raise _too_many(ambient, newest)
    return await _come_again(ambient, asked, tx, session, newest)


async def _rotate_former(
    ambient: Ambient, asked: _Asked, token: FormerToken, tx: Transaction, session: Session, newest: Newest
) -> Revoking[Rotation]:
    """Continues a session in the present format, or in the former one while servers of the version before may run."""
    if await former.spent_at(tx, token) is not None:
        return await _come_again(ambient, asked, tx, session, newest)
    if not await count_refresh(ambient, tx, session.id):
        raise _too_many(ambient, newest)
    successor = await new_refresh_token(ambient, tx, session.id, generation=token.generation + 1)
    await former.spend(ambient, tx, token, successor=successor if grace.period(ambient) else None)
    return await _granted(ambient, asked, tx, session, successor)


async def _come_again(
    ambient: Ambient, asked: _Asked, tx: Transaction, session: Session, newest: Newest
) -> Revoking[Rotation]:
    """Handles a spent token: returns its successor again, or ends its family."""
    successor = await _successor_again(ambient, asked, tx, session, newest)
    if successor is None:
        return await _end_family(ambient, asked, tx, session)
    if not await count_refresh(ambient, tx, session.id):
        raise _too_many(ambient, newest)
    revoking = await _granted(ambient, asked, tx, session, successor)
    if isinstance(revoking.result, Granted) and await grace.is_first_repeat(tx, asked.token):
        await _record_sometimes(ambient, asked, tx, session, Event(REPEATED))
    return revoking


async def _successor_again(
    ambient: Ambient, asked: _Asked, tx: Transaction, session: Session, newest: Newest
) -> str | None:
    """None if the grace period is over, or if the caller does not prove to be the holder."""
    proves_device = await _proves_device(tx, session, asked.device_hash)
    if session.device_bound and not proves_device:
        return None
    return await grace.newest_from(ambient, tx, asked.token, newest, proves_device=proves_device)


async def _proves_device(tx: Transaction, session: Session, shown: bytes | None) -> bool:
    known = await devices.token_hash(tx, session.device_id) if session.device_id and shown else None
    return known is not None and shown is not None and hmac.compare_digest(known, shown)


async def _granted(
    ambient: Ambient, asked: _Asked, tx: Transaction, session: Session, refresh_token: str
) -> Revoking[Rotation]:
    # a resource that is not allowed raises, so the token is not spent
    wanted = session.resource if asked.resource is None else asked.resource
    resource = await audience(ambient, tx, wanted)
    return Revoking(await grant(ambient, tx, session, resource=resource, refresh_token=refresh_token))


def _too_many(ambient: Ambient, newest: Newest) -> RateLimited:
    """Raised inside the transaction, so that nothing is spent."""
    return RateLimited("refreshes of one session", retry_after=-(-(newest.next_at - ambient.now()) // MICROSECONDS))


async def _store_behind(ambient: Ambient, asked: _Asked, tx: Transaction, session: Session) -> Revoking[Rotation]:
    """A failover or a backup lost the newest tokens. Nobody stole anything, so the session does not end."""
    await _record_sometimes(ambient, asked, tx, session, Event(STORE_BEHIND, Outcome.REFUSED))
    return Revoking(Behind(session.id))


async def _end_family(ambient: Ambient, asked: _Asked, tx: Transaction, session: Session) -> Revoking[Rotation]:
    mail = await _mail_about_reuse(ambient, asked, tx, session)
    event = Event(REUSED, Outcome.REFUSED, account_id=session.account_id, session_id=session.id)
    await record(ambient, tx, asked.actor, event)
    entries = await end(ambient, tx, asked.actor, session.id, EndReason.REUSE)
    return Revoking(Reused(session.id, mail), entries)


async def _mail_about_reuse(ambient: Ambient, asked: _Asked, tx: Transaction, session: Session) -> Mail | None:
    """None if the owner has already received enough mails within the last hour. An attacker could otherwise cause one
    mail per sign-in."""
    if not await _is_new_within_the_hour(ambient, tx, session, REUSED):
        return None
    account = await accounts.by_id(tx, session.account_id)
    return None if account is None else reused(ambient, account, session, asked.actor)


async def _record_sometimes(ambient: Ambient, asked: _Asked, tx: Transaction, session: Session, event: Event) -> None:
    """At most ten an hour, or the holder of a token could fill the audit log."""
    if await _is_new_within_the_hour(ambient, tx, session, event.type):
        of_session = replace(event, account_id=session.account_id, session_id=session.id)
        await record(ambient, tx, asked.actor, of_session)


async def _is_new_within_the_hour(ambient: Ambient, tx: Transaction, session: Session, type_: str) -> bool:
    """Whether fewer than ten events of this type were recorded for the account within the last hour."""
    now, hour = ambient.now(), _HOUR * MICROSECONDS
    return await count_recent(tx, session.account_id, type_, now=now, within=hour, most=_TOLD) < _TOLD
