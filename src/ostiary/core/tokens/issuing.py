"""Issuing: the one pipeline that every way to get tokens goes through, so that none of them can forget a phase.

The audience is decided before anything is spent. A grant passes account, session and slot in this order, inside the
transaction of whoever asks for it and records why; signing comes after the commit, so that a token never exists for a
session that was rolled back.
"""

from typing import Final

from ostiary.core.accounts import queries as accounts
from ostiary.core.clock import MICROSECONDS
from ostiary.core.opaque import Purpose, new_token
from ostiary.core.plug import Ambient
from ostiary.core.sessions.model import Session
from ostiary.core.tokens import queries
from ostiary.core.tokens.model import Granted, NotAlive
from ostiary.core.tokens.status.claim import claim
from ostiary.core.tokens.status.service import slot_for
from ostiary.errors import InvalidTarget, RevocationsUnknown
from ostiary.jose import sign
from ostiary.store.database import Transaction
from ostiary.verifier import ACCESS_TOKEN_TYPE, AccessToken, encode_access_token

_JTI_SIZE: Final = 16  # bytes; RFC 7519 §4.1.7: no two tokens may ever share one
_FIRST: Final = 1


def refuse_when_stale(ambient: Ambient) -> None:
    """Who cannot know what was revoked vouches for nothing. Raises RevocationsUnknown."""
    if not ambient.revocations.is_fresh:
        raise RevocationsUnknown("the change feed is not fresh")


def refuse_when_unable_to_sign(ambient: Ambient) -> None:
    """Before anything is spent: a refresh token that was spent for no answer would look stolen at the next try.

    Raises:
        RevocationsUnknown, Unavailable: there is no key to sign with.
    """
    refuse_when_stale(ambient)
    _ = ambient.keys.current


async def audience(ambient: Ambient, resource: str | None) -> str | None:
    """The ``resource`` for which access tokens are asked (RFC 8707 §2), None for the issuer itself.

    Raises:
        InvalidTarget: it is not among those that are allowed.
    """
    if resource is None or resource == ambient.settings.issuer:
        return None
    if resource not in ambient.settings.resources and not await ambient.clients.have_resource(resource):
        raise InvalidTarget("a resource that is not among the allowed ones")
    return resource


async def grant(
    ambient: Ambient, tx: Transaction, session: Session, *, resource: str | None, refresh_token: str
) -> Granted | NotAlive:
    """The phases that every grant shares, for a session that the caller holds or has just started, and for a refresh
    token that it has stored."""
    standing = await accounts.standing(tx, session.account_id)
    if standing is None or not standing.active:
        return NotAlive("the account is gone or disabled")
    # Signing everybody out touches no session, so that holding this one does not keep it out: the epoch could be the
    # new one already, and the token good for a session that has ended.
    if standing.least != session.least:
        return NotAlive(f"session {session.id} has ended meanwhile")
    slot = await slot_for(ambient, tx, session, ver=standing.epoch)
    # The key is taken here and kept: were it looked for after the commit and revoked meanwhile, a refresh token would
    # be spent for no answer, and its next use would end the session. A token by a revoked key only costs a refresh.
    return Granted(session, standing, refresh_token, resource, slot, ambient.keys.current)


async def first_grant(ambient: Ambient, tx: Transaction, session: Session) -> Granted | NotAlive:
    """The grant of a session that has just started, with the first refresh token of its family."""
    token = new_token(Purpose.REFRESH, ambient.random)
    await queries.insert(tx, token.fingerprint, session.id, generation=_FIRST, now=ambient.now())
    return await grant(ambient, tx, session, resource=session.resource, refresh_token=token.text)


def sign_access_token(ambient: Ambient, granted: Granted) -> tuple[str, int]:
    """The access token of a committed grant (RFC 9068 §2), and the seconds until it expires."""
    session, standing, settings = granted.session, granted.standing, ambient.settings
    now = ambient.seconds()
    # no token outlives its session: what it was issued for would be gone
    expires = min(now + settings.access_lifetime, session.ends_at // MICROSECONDS)
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
        auth_time=session.auth_time,
        acr=session.acr,
        amr=session.amr,
        status=claim(settings, granted.slot),
    )
    return sign(encode_access_token(claims), granted.key, typ=ACCESS_TOKEN_TYPE), expires - now
