"""Issuing: one pipeline for every way to get tokens, so that none of them can skip a phase.

A grant checks the account, the session and the slot in this order, inside the transaction of the caller, which records
the reason. Signing happens after the commit, so that no token ever exists for a session that was rolled back.
"""

from typing import Final

from ostiary.core.accounts import queries as accounts
from ostiary.core.clock import MICROSECONDS
from ostiary.core.plug import Ambient
from ostiary.core.sessions import queries as sessions
from ostiary.core.sessions.model import Session
from ostiary.core.settings import Settings
from ostiary.core.tokens import former
from ostiary.core.tokens.model import Granted, NotAlive
from ostiary.core.tokens.refresh_token import new_token
from ostiary.core.tokens.settings import TokenSettings
from ostiary.core.tokens.status.claim import claim
from ostiary.core.tokens.status.service import slot_for
from ostiary.errors import InvalidTarget, RevocationsUnknown, Unavailable
from ostiary.jose import sign
from ostiary.store.database import Reader, Transaction
from ostiary.verifier import ACCESS_TOKEN_TYPE, AccessToken, encode_access_token

_JTI_SIZE: Final = 16  # bytes; RFC 7519 §4.1.7: no two tokens may ever share one
_FIRST: Final = 1


def refuse_when_stale(ambient: Ambient) -> None:
    """A process that cannot know what was revoked must not issue or confirm anything. Raises RevocationsUnknown."""
    if not ambient.revocations.is_fresh:
        raise RevocationsUnknown("the change feed is not fresh")


def refuse_when_unable_to_sign(ambient: Ambient) -> None:
    """Call this before anything is spent. A refresh token that was spent without a response would look stolen when the
    client retries.

    Raises:
        RevocationsUnknown: the change feed is not fresh.
        Unavailable: there is no key to sign with.
    """
    refuse_when_stale(ambient)
    _ = ambient.keys.current


async def audience(ambient: Ambient, reader: Reader, resource: str | None) -> str | None:
    """The ``resource`` for which an access token is requested (RFC 8707 §2), or None for the issuer itself.

    Raises:
        InvalidTarget: the resource is not allowed.
    """
    if resource is None or resource == ambient.settings.issuer:
        return None
    stated = ambient.settings.of(TokenSettings).resources
    if resource not in stated and not await ambient.clients.have_resource(reader, resource):
        raise InvalidTarget("the resource is neither in tokens.resources nor that of a service client")
    return resource


async def grant(
    ambient: Ambient, tx: Transaction, session: Session, *, resource: str | None, refresh_token: str
) -> Granted | NotAlive:
    """The phases that all grants share. The caller has locked or just started the session and has stored the refresh
    token."""
    standing = await accounts.standing(tx, session.account_id)
    if standing is None or not standing.active:
        return NotAlive("the account is gone or disabled")
    if standing.issuer not in {None, ambient.settings.issuer}:
        # raised, so that nothing is spent: the token would be good at the other issuer
        raise Unavailable(f"the database was moved to the issuer {standing.issuer}: restart with it")
    # Signing everybody out does not touch session rows, so the lock on this session does not exclude it. Without this
    # check, the token could carry the new epoch and be valid for a session that has ended.
    if standing.least != session.least:
        return NotAlive(f"session {session.id} has ended in the meantime")
    slot = await slot_for(ambient, tx, session, ver=standing.epoch)
    # The key is chosen here and kept. If it were chosen after the commit and revoked in between, the refresh token
    # would be spent without a response, and its next use would end the session. A token signed with a revoked key only
    # costs one more refresh.
    return Granted(session, standing, refresh_token, resource, slot, ambient.keys.current)


async def first_grant(ambient: Ambient, tx: Transaction, session: Session) -> Granted | NotAlive:
    """The grant of a session that has just started, with the first refresh token of its family."""
    token = await new_refresh_token(ambient, tx, session.id, generation=_FIRST)
    return await grant(ambient, tx, session, resource=session.resource, refresh_token=token)


async def new_refresh_token(ambient: Ambient, tx: Transaction, session_id: str, *, generation: int) -> str:
    """A refresh token that is not derived from another one. It is the newest of its session from now on."""
    if ambient.now() < ambient.former_tokens_until:
        return await former.issue(ambient, tx, session_id, generation=generation)
    token = new_token(ambient.vault, session_id, generation, ambient.random)
    await sessions.keep_newest(tx, session_id, generation=generation, refresh_hash=token.hash)
    return token.text


def sign_access_token(ambient: Ambient, granted: Granted) -> tuple[str, int]:
    """The access token of a committed grant (RFC 9068 §2), and the seconds until it expires."""
    session, standing, settings = granted.session, granted.standing, ambient.settings
    now = ambient.seconds()
    # no access token outlives its session
    expires = min(now + settings.of(TokenSettings).access_lifetime, session.ends_at // MICROSECONDS)
    claims = AccessToken(
        iss=settings.issuer,
        sub=standing.account_id,
        aud=granted.resource or settings.issuer,
        exp=expires,
        iat=now,
        jti=ambient.random.token(_JTI_SIZE).hex(),
        client_id=session.client_id,
        sid=session.id,
        ver=standing.epoch,
        roles=standing.roles,
        scope="",
        # a server whose clock is a little ahead may have started the session (OpenID Connect Core §2)
        auth_time=min(session.auth_time, now),
        acr=session.acr,
        amr=session.amr,
        status=claim(settings, granted.slot),
        email=_email(settings, granted),
    )
    return sign(encode_access_token(claims), granted.key, typ=ACCESS_TOKEN_TYPE), expires - now


def _email(settings: Settings, granted: Granted) -> str | None:
    """The ``email`` claim. Other services do not need the address and must not learn it. A change of address raises the
    epoch, so the claim is never outdated."""
    is_own = granted.resource is None or granted.resource == settings.issuer
    return granted.standing.verified_email if is_own and settings.of(TokenSettings).email_claim else None
