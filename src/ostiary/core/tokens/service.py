"""Issuing, refreshing and ending: the one pipeline that every way to get tokens goes through.

A grant passes account and issue in this order, inside the transaction of whoever asks for it and records why; signing
comes after the commit, so that a token never exists for a session that was rolled back.
"""

from functools import partial
from typing import Final, TypeAlias

from ostiary.core.accounts import queries as accounts
from ostiary.core.audit.model import Event, Outcome
from ostiary.core.audit.service import record
from ostiary.core.clock import MICROSECONDS
from ostiary.core.opaque import Purpose, fingerprint, new_token
from ostiary.core.plug import Actor, Ambient
from ostiary.core.revocations import Revoking, transact
from ostiary.core.sessions import queries as sessions
from ostiary.core.sessions.model import EndReason, Session
from ostiary.core.sessions.service import end
from ostiary.core.tokens import queries
from ostiary.core.tokens.model import Granted, NotAlive, Reused
from ostiary.errors import InvalidToken, RefreshTokenReused, RevocationsUnknown
from ostiary.jose import sign
from ostiary.store.database import Transaction
from ostiary.verifier import ACCESS_TOKEN_TYPE, AccessToken, encode_access_token

_JTI_SIZE: Final = 16  # bytes; RFC 7519 §4.1.7: no two tokens may ever share one
_FIRST: Final = 1

Rotation: TypeAlias = Granted | Reused | NotAlive


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


async def grant(ambient: Ambient, tx: Transaction, session: Session, *, generation: int = _FIRST) -> Granted | NotAlive:
    """The phases that every grant shares, for a session that the caller holds or has just started."""
    standing = await accounts.standing(tx, session.account_id)
    if standing is None or not standing.active:
        return NotAlive("the account is gone or disabled")
    token = new_token(Purpose.REFRESH, ambient.random)
    await queries.insert(tx, token.fingerprint, session.id, generation=generation, now=ambient.now())
    # The key is taken here and kept: were it looked for after the commit and revoked meanwhile, a refresh token would
    # be spent for no answer, and its next use would end the session. A token by a revoked key only costs a refresh.
    return Granted(session, standing, token.text, ambient.keys.current)


def sign_access_token(ambient: Ambient, granted: Granted) -> tuple[str, int]:
    """The access token of a committed grant (RFC 9068 §2), and the seconds until it expires."""
    session, standing, settings = granted.session, granted.standing, ambient.settings
    now = ambient.seconds()
    # no token outlives its session: what it was issued for would be gone
    expires = min(now + settings.access_lifetime, session.expires_at // MICROSECONDS)
    claims = AccessToken(
        iss=settings.issuer,
        sub=standing.account_id,
        aud=settings.issuer,
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
    )
    return sign(encode_access_token(claims), granted.key, typ=ACCESS_TOKEN_TYPE), expires - now


async def refresh(ambient: Ambient, actor: Actor, refresh_token: str) -> Granted:
    """Spends a refresh token and grants the next set.

    A spent token that comes again ends its session at once, for whoever holds the family (RFC 9700 §4.14.2).

    Raises:
        InvalidToken: unknown, spent, or of a session or account that is no longer alive. The caller cannot tell which.
        Unavailable: nothing can be signed at the moment; the token is not spent.
    """
    refuse_when_unable_to_sign(ambient)
    token_hash = fingerprint(refresh_token, Purpose.REFRESH)
    if token_hash is None:
        raise InvalidToken("not a refresh token by its form")

    # it never changes, so it needs no transaction: a text that only looks like a token costs none
    session_id = await queries.session_of(ambient.database, token_hash)
    if session_id is None:
        raise InvalidToken("an unknown refresh token")
    body = partial(_rotate, ambient, actor, token_hash, session_id)

    # refusals are returned and committed before they are raised: raising inside would undo the family's end
    match await transact(ambient, body):
        case Granted() as granted:
            return granted
        case Reused(session_id):
            raise RefreshTokenReused(f"session {session_id} is ended")
        case NotAlive(reason):
            raise InvalidToken(reason)


async def logout(ambient: Ambient, actor: Actor, *, access_token: str | None, refresh_token: str | None) -> None:
    """Ends the session that either token belongs to, also when the token has expired or was spent. Never refuses: a
    token that is none of ours ends nothing."""
    token_hash = fingerprint(refresh_token, Purpose.REFRESH) if refresh_token else None
    named = _session_named_by(ambient, access_token) if access_token else None
    if token_hash is None and named is None:
        return

    async def body(tx: Transaction) -> Revoking[None]:
        found = {named, await queries.session_of(tx, token_hash) if token_hash else None}
        entries = [
            entry
            for session_id in sorted(session_id for session_id in found if session_id)
            for entry in await end(ambient, tx, actor, session_id, EndReason.LOGOUT)
        ]
        return Revoking(None, tuple(entries))

    await transact(ambient, body)


async def _rotate(
    ambient: Ambient, actor: Actor, token_hash: bytes, session_id: str, tx: Transaction
) -> Revoking[Rotation]:
    # The session row is the lock: logout, reuse and other refreshes of this family wait here or find it ended.
    session = await sessions.hold(tx, session_id, now=ambient.now())
    if session is None:
        return Revoking(NotAlive(f"session {session_id} has ended"))
    generation = await queries.spend(tx, token_hash, now=ambient.now())
    if generation is None:
        return await _end_family(ambient, tx, actor, session)
    return Revoking(await grant(ambient, tx, session, generation=generation + 1))


async def _end_family(ambient: Ambient, tx: Transaction, actor: Actor, session: Session) -> Revoking[Rotation]:
    event = Event(
        "tokens.refresh_token_reused",
        Outcome.REFUSED,
        account_id=session.account_id,
        session_id=session.id,
    )
    await record(ambient, tx, actor, event)
    return Revoking(Reused(session.id), await end(ambient, tx, actor, session.id, EndReason.REUSE))


def _session_named_by(ambient: Ambient, access_token: str) -> str | None:
    """The session of an access token that we signed, expired or not; None for everything else."""
    try:
        return ambient.verifier.session_of(access_token)
    except InvalidToken:
        return None
