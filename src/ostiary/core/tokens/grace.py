"""The grace period of a spent refresh token. A client that may have lost the response gets the same successor again.

The successor is not stored. It is derived from the spent token, which the client sends again, the master secret, and a
random salt in the row of the spent token (`ostiary.core.tokens.refresh_token.successor_of`). So neither the database
nor the server alone can make it, and deleting the row deletes the way to it.
"""

from typing import Final, TypeAlias

from ostiary.core.clock import MICROSECONDS, TOLERANCE, is_recent
from ostiary.core.plug import Ambient
from ostiary.core.sessions.model import Newest
from ostiary.core.tokens import former, queries
from ostiary.core.tokens.former import FormerToken
from ostiary.core.tokens.queries import Spent
from ostiary.core.tokens.refresh_token import RefreshToken, read, successor_of
from ostiary.core.tokens.settings import TokenSettings
from ostiary.store.database import Transaction

Presented: TypeAlias = RefreshToken | FormerToken

LONGEST: Final = 60
"""Seconds. The longest grace period that can be configured."""

LONGEST_FOR_DEVICES: Final = 15 * 60
"""Seconds. A caller that proves its device gets the successor again for this long, while nobody has used it. A phone
that is suspended in the middle of a request may need that long to ask again."""

_MOST_LINKS: Final = 1024
"""Successors that are followed in a chain. With the default limit on refreshes, a grace period has 70 at most."""

_MOST_FORMER_LINKS: Final = 64
"""Of the former format, whose links cost two statements each."""


def period(ambient: Ambient) -> int:
    """The grace period in seconds. 0: there is none."""
    return ambient.settings.of(TokenSettings).refresh_grace


async def begin(ambient: Ambient, tx: Transaction, token: RefreshToken, salt: bytes) -> None:
    """Stores what a client needs that sends ``token`` again. Call it in the transaction that spends the token. The row
    stays as long as the longest grace period that any server of this installation may have."""
    if not period(ambient):
        return
    now = ambient.now()
    until = now + LONGEST_FOR_DEVICES * MICROSECONDS + TOLERANCE
    await queries.keep_spent(tx, token.session_id, token.generation, Spent(token.hash, now, salt), until=until)


async def newest_from(
    ambient: Ambient, tx: Transaction, token: Presented, newest: Newest, *, proves_device: bool
) -> str | None:
    """The newest token of the chain that starts with this token, if each link is within its own grace period. Each
    period starts when the link is first spent, and is never extended. None if the chain is broken.

    Raises:
        Unavailable: a successor was made with a master secret that this process does not have.
    """
    for _ in range(_MOST_FORMER_LINKS):
        if isinstance(token, RefreshToken):
            return await _newest_after(ambient, tx, token, newest, proves_device=proves_device)
        following = await _after_former(ambient, tx, token)
        if following is None or following is token:
            return following and following.text
        token = following
    return None


async def is_first_repeat(tx: Transaction, token: Presented) -> bool:
    """Whether no second use of the token was recorded before. Always true for the former format, which does not
    count."""
    return isinstance(token, FormerToken) or await queries.mark_repeated(tx, token.session_id, token.generation)


async def _newest_after(
    ambient: Ambient, tx: Transaction, token: RefreshToken, newest: Newest, *, proves_device: bool
) -> str | None:
    # one statement, however long the chain is: the session row is locked
    links = await queries.spent_from(tx, token.session_id, token.generation, most=_MOST_LINKS)
    if token.generation + len(links) != newest.generation:
        return None  # a row is gone, so its grace period is over
    for link in links:
        is_unused = token.generation + 1 == newest.generation
        longest = LONGEST_FOR_DEVICES if proves_device and is_unused else 0
        if link.hash != token.hash or not _is_within(ambient, link.at, longest):
            return None
        token = successor_of(ambient.vault, token, link.salt)
    return token.text if token.hash == newest.hash else None


async def _after_former(ambient: Ambient, tx: Transaction, token: FormerToken) -> Presented | None:
    """The token itself if it is not spent."""
    spent = await former.spent_at(tx, token)
    if spent is None:
        return token
    at, sealed = spent
    if sealed is None or not _is_within(ambient, at):
        return None
    text = former.successor_of(ambient, token, sealed)
    return read(ambient.vault, text) or await former.find(tx, text)


def _is_within(ambient: Ambient, spent_at: int, longest: int = 0) -> bool:
    seconds = period(ambient) and max(period(ambient), longest)
    return bool(seconds) and is_recent(spent_at, now=ambient.now(), within=seconds * MICROSECONDS)


async def sweep(tx: Transaction, now: int) -> int:
    return await queries.delete_spent(tx, now) + await queries.forget_old_successors(
        tx, spent_before=now - LONGEST * MICROSECONDS
    )
