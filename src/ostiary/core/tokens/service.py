"""Refresh, logout and revocation. The steps that all grants share are in `ostiary.core.tokens.issuing`."""

import hmac
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from ostiary.core.accounts import queries as accounts
from ostiary.core.audit.model import Event, Outcome
from ostiary.core.audit.queries import count as events_of
from ostiary.core.audit.service import record
from ostiary.core.clock import MICROSECONDS
from ostiary.core.devices import queries as devices
from ostiary.core.opaque import Purpose, fingerprint, new_token
from ostiary.core.plug import Actor, Ambient, Mail, count
from ostiary.core.revocations import Revoking, token_revoked, transact
from ostiary.core.sessions import queries as sessions
from ostiary.core.sessions.model import EndReason, Session
from ostiary.core.sessions.service import end, hold
from ostiary.core.tokens import grace, queries
from ostiary.core.tokens.issuing import audience, grant, refuse_when_unable_to_sign
from ostiary.core.tokens.mails import reused
from ostiary.core.tokens.model import Granted, NotAlive, Reused
from ostiary.core.tokens.queries import Family
from ostiary.core.tokens.status.claim import own_entry
from ostiary.core.tokens.status.service import refuse_slot
from ostiary.errors import InvalidToken, RefreshTokenReused, RevocationsUnknown, TokenRevoked
from ostiary.store.database import Transaction
from ostiary.store.hot import Rate
from ostiary.verifier import LEEWAY, AccessToken

_MOST_LINKS: Final = 64
"""Successors that are followed in a chain. No client loses that many responses within one grace period. Without a
limit, the holder of a token could make each request more expensive than the one before."""

_TAKEN_BACK: Final = Rate(60, 3600)
"""Revocations of single access tokens per session. Each one stays in the feed, and in the memory of every feed reader,
for a day, and its bit stays in a status list as long as the session. A client that refreshes and revokes in turn would
fill both."""

_REUSED: Final = "tokens.refresh_token_reused"
_TOLD: Final = 10
"""Mails about reuse to one account per hour."""
_HOUR: Final = 3600

Rotation: TypeAlias = Granted | Reused | NotAlive


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
        Unavailable: nothing can be signed at the moment. The token is not spent.
    """
    refuse_when_unable_to_sign(ambient)
    token_hash = fingerprint(refresh_token, Purpose.REFRESH)
    if token_hash is None:
        raise InvalidToken("the text does not have the form of a refresh token")

    # The family never changes, so it can be read outside a transaction. A text that only looks like a token costs none.
    family = await queries.family_of(ambient.database, token_hash)
    if family is None:
        raise InvalidToken("an unknown refresh token")
    asked = _Asked(
        token=refresh_token,
        token_hash=token_hash,
        family=family,
        device_hash=fingerprint(device_token, Purpose.DEVICE) if device_token else None,
        resource=await audience(ambient, family.resource if resource is None else resource),
    )

    # Refusals are returned and committed before they are raised. Raising inside would roll back the end of the family.
    match await transact(ambient, partial(_rotate, ambient, actor, asked)):
        case Granted() as granted:
            return granted
        case Reused(session_id, mail):
            if mail is not None:
                ambient.mail.post(mail)
            raise RefreshTokenReused(f"session {session_id} is ended")
        case NotAlive(reason):
            raise InvalidToken(reason)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    token: str
    token_hash: bytes
    family: Family
    device_hash: bytes | None
    resource: str | None


async def logout(
    ambient: Ambient,
    actor: Actor,
    *,
    access_token: str | None,
    refresh_token: str | None,
    reason: EndReason = EndReason.LOGOUT,
) -> None:
    """Ends the session that either token belongs to, even if the token has expired or is spent. Never refuses. A token
    that we did not issue ends nothing. Neither does an access token for another service: otherwise that service could
    sign out all its callers."""
    token_hash = fingerprint(refresh_token, Purpose.REFRESH) if refresh_token else None
    issued = _issued(ambient, access_token) if access_token else None
    named = issued.sid if issued and issued.aud == ambient.settings.issuer else None
    if token_hash is None and named is None:
        return

    async def body(tx: Transaction) -> Revoking[None]:
        family = await queries.family_of(tx, token_hash) if token_hash else None
        found = {named, family and family.session_id}
        entries = [
            entry
            for session_id in sorted(session_id for session_id in found if session_id)
            for entry in await end(ambient, tx, actor, session_id, reason)
        ]
        return Revoking(None, tuple(entries))

    await transact(ambient, body)


async def revoke(ambient: Ambient, actor: Actor, token: str) -> None:
    """Revokes a token, effective at once. A refresh token ends its session with all its tokens. An access token ends
    only itself. A token that we did not issue ends nothing.

    Raises:
        RateLimited: too many single access tokens of the session were revoked. Its refresh token ends them all.
    """
    if fingerprint(token, Purpose.REFRESH) is not None:
        await logout(ambient, actor, access_token=None, refresh_token=token, reason=EndReason.TOKEN_REVOKED)
    elif (issued := _issued(ambient, token)) is not None and not _is_over(ambient, issued):
        await count(ambient, f"revoke:{issued.sid}", _TAKEN_BACK)
        await transact(ambient, partial(_revoke_access_token, ambient, actor, issued))


def _is_over(ambient: Ambient, token: AccessToken) -> bool:
    """Whether there is nothing left to revoke. Sending one token again and again must not fill the feed or the audit
    log."""
    try:
        ambient.revocations.check(token, ambient.seconds())
    except TokenRevoked:
        return True
    except RevocationsUnknown:
        return False
    return ambient.seconds() >= token.exp + LEEWAY


async def _revoke_access_token(ambient: Ambient, actor: Actor, token: AccessToken, tx: Transaction) -> Revoking[None]:
    now = ambient.now()
    entries = [token_revoked(token.jti, now=now)]
    if (entry := own_entry(ambient.settings, token)) is not None:
        # A status list has one bit per session, not per token. Verifiers that use the list also refuse the other tokens
        # of the session until those are refreshed.
        number, index = entry
        await sessions.leave_slot(tx, token.sid, list_number=number, index=index)
        entries.append(await refuse_slot(tx, number, index, now=now))
    event = Event("tokens.revoked", account_id=token.sub, session_id=token.sid, detail={"jti": token.jti})
    await record(ambient, tx, actor, event)
    return Revoking(None, tuple(entries))


async def _rotate(ambient: Ambient, actor: Actor, asked: _Asked, tx: Transaction) -> Revoking[Rotation]:
    # The session row is the lock. Logout, reuse and other refreshes of this family wait here or find the session ended.
    session = await hold(ambient, tx, asked.family.session_id)
    if session is None:
        return Revoking(NotAlive(f"session {asked.family.session_id} has ended"))
    generation = asked.family.generation
    successor = new_token(Purpose.REFRESH, ambient.random)
    sealed = grace.seal(
        ambient, spent=asked.token, successor=successor.text, session_id=session.id, generation=generation
    )
    now = ambient.now()
    if not await queries.spend(tx, asked.token_hash, now=now, sealed_successor=sealed):
        return await _come_again(ambient, tx, actor, session, asked)
    await queries.insert(tx, successor.fingerprint, session.id, generation=generation + 1, now=now)
    return Revoking(await grant(ambient, tx, session, resource=asked.resource, refresh_token=successor.text))


async def _come_again(
    ambient: Ambient, tx: Transaction, actor: Actor, session: Session, asked: _Asked
) -> Revoking[Rotation]:
    """Handles a spent token: returns its successor again, or ends its family."""
    unspent = await _unspent_successor(ambient, tx, session, asked)
    if unspent is None:
        return await _end_family(ambient, tx, actor, session)
    granted = await grant(ambient, tx, session, resource=asked.resource, refresh_token=unspent)
    if isinstance(granted, Granted):
        event = Event("tokens.refresh_repeated", account_id=session.account_id, session_id=session.id)
        await record(ambient, tx, actor, event)
    return Revoking(granted)


async def _unspent_successor(ambient: Ambient, tx: Transaction, session: Session, asked: _Asked) -> str | None:
    """The last token of the chain that starts with this token, if each link is within its own grace period. None if the
    caller does not prove to be the holder."""
    if session.device_bound and not await _shows_its_device(tx, session, asked.device_hash):
        return None
    token, token_hash = asked.token, asked.token_hash
    for _ in range(_MOST_LINKS):
        spent = await queries.spent(tx, token_hash)
        if spent is None:
            return token
        successor = grace.successor_of(ambient, token, spent, session_id=session.id)
        following = fingerprint(successor, Purpose.REFRESH) if successor else None
        if successor is None or following is None:
            return None
        token, token_hash = successor, following
    return None


async def _shows_its_device(tx: Transaction, session: Session, shown: bytes | None) -> bool:
    known = await devices.token_hash(tx, session.device_id) if session.device_id else None
    return known is not None and shown is not None and hmac.compare_digest(known, shown)


async def _end_family(ambient: Ambient, tx: Transaction, actor: Actor, session: Session) -> Revoking[Rotation]:
    event = Event(_REUSED, Outcome.REFUSED, account_id=session.account_id, session_id=session.id)
    await record(ambient, tx, actor, event)
    entries = await end(ambient, tx, actor, session.id, EndReason.REUSE)
    return Revoking(Reused(session.id, await _mail_about_reuse(ambient, tx, actor, session)), entries)


async def _mail_about_reuse(ambient: Ambient, tx: Transaction, actor: Actor, session: Session) -> Mail | None:
    """None if the owner has already received enough mails within the last hour. An attacker could otherwise cause one
    mail per sign-in."""
    since = ambient.now() - _HOUR * MICROSECONDS
    told = await events_of(tx, session.account_id, _REUSED, since=since, most=_TOLD + 1)
    account = await accounts.by_id(tx, session.account_id)
    return None if account is None or told > _TOLD else reused(ambient, account, session, actor)


def _issued(ambient: Ambient, access_token: str) -> AccessToken | None:
    """The access token, expired or not, if we signed it. None otherwise."""
    try:
        return ambient.verifier.issued(access_token)
    except InvalidToken:
        return None
