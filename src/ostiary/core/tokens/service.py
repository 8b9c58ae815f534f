"""Logout and revocation. Refreshing is in `ostiary.core.tokens.rotation`."""

from functools import partial
from typing import Final

from ostiary.core.audit.model import Event
from ostiary.core.audit.service import record
from ostiary.core.opaque import Purpose, fingerprint
from ostiary.core.plug import Actor, Ambient, count
from ostiary.core.revocations import Revoking, token_revoked, transact
from ostiary.core.sessions import queries as sessions
from ostiary.core.sessions.model import EndReason
from ostiary.core.sessions.service import end
from ostiary.core.tokens import former
from ostiary.core.tokens.refresh_token import read
from ostiary.core.tokens.status.claim import own_entry
from ostiary.core.tokens.status.service import refuse_slot
from ostiary.errors import InvalidToken, RevocationsUnknown, TokenRevoked
from ostiary.store.database import Transaction
from ostiary.store.hot import Rate
from ostiary.verifier import LEEWAY, AccessToken

_TAKEN_BACK: Final = Rate(60, 3600)
"""Revocations of single access tokens per session. Each one stays in the feed, and in the memory of every feed reader,
for a day, and its bit stays in a status list as long as the session. A client that refreshes and revokes in turn would
fill both."""


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
    issued = _issued(ambient, access_token) if access_token else None
    named = {issued.sid} if issued and issued.aud == ambient.settings.issuer else set[str]()
    if refresh_token and (session_id := await _session_of(ambient, refresh_token)):
        named.add(session_id)
    for session_id in named:
        # a transaction that does not lock the account locks one session at most
        await transact(ambient, partial(_end, ambient, actor, session_id, reason))


async def _end(ambient: Ambient, actor: Actor, session_id: str, reason: EndReason, tx: Transaction) -> Revoking[None]:
    return Revoking(None, await end(ambient, tx, actor, session_id, reason))


async def revoke(ambient: Ambient, actor: Actor, token: str) -> None:
    """Revokes a token, effective at once. A refresh token ends its session with all its tokens. An access token ends
    only itself. A token that we did not issue ends nothing.

    Raises:
        RateLimited: too many single access tokens of the session were revoked. Its refresh token ends them all.
    """
    if read(ambient.vault, token) or fingerprint(token, Purpose.REFRESH):
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


async def _session_of(ambient: Ambient, refresh_token: str) -> str | None:
    """The session of a refresh token, spent or not. None if we did not issue the token."""
    token = read(ambient.vault, refresh_token) or await former.find(ambient.database, refresh_token)
    return token and token.session_id


def _issued(ambient: Ambient, access_token: str) -> AccessToken | None:
    """The access token, expired or not, if we signed it. None otherwise."""
    try:
        return ambient.verifier.issued(access_token)
    except InvalidToken:
        return None
