"""Refresh tokens in the former format, which is no longer issued (ADR 17).

They are opaque (`ostiary.core.opaque`) and have a row in ``refresh_tokens``, spent or not, until their session ends. A
session continues in the new format with its next refresh. Servers of the version before cannot read the new format. So
after an upgrade, tokens in the former format are issued for another hour, in which all servers can be replaced.
"""

from typing import Final, NamedTuple

from ostiary.core.clock import MICROSECONDS
from ostiary.core.opaque import Purpose, fingerprint, new_token
from ostiary.core.plug import Ambient
from ostiary.core.tokens import queries
from ostiary.errors import ConfigurationError, Unavailable
from ostiary.store.database import Reader, Transaction
from ostiary.store.migrations import applied_at

SIDE_BY_SIDE: Final = 3600
"""Seconds in which servers of this version and the one before can run at the same time."""

_MIGRATION: Final = ("tokens", 4)
_PURPOSE: Final = "grace/1"


class FormerToken(NamedTuple):
    """A refresh token in the former format. Its session and generation are read from its row."""

    text: str
    hash: bytes
    session_id: str
    generation: int


async def issued_until(reader: Reader) -> int:
    """Until when this format is issued, in microseconds since the epoch. 0 for a database that never had it."""
    if not await queries.is_upgraded(reader):
        return 0
    return (await applied_at(reader, *_MIGRATION) or 0) + SIDE_BY_SIDE * MICROSECONDS


async def find(reader: Reader, text: str) -> FormerToken | None:
    """The token, if it has this format and its session still exists. Other text costs no statement."""
    token_hash = fingerprint(text, Purpose.REFRESH)
    row = await queries.former(reader, token_hash) if token_hash else None
    return None if row is None or token_hash is None else FormerToken(text, token_hash, *row)


async def issue(ambient: Ambient, tx: Transaction, session_id: str, *, generation: int) -> str:
    """A new token in this format."""
    token = new_token(Purpose.REFRESH, ambient.random)
    await queries.insert_former(tx, token.fingerprint, session_id, generation=generation, now=ambient.now())
    return token.text


async def spend(ambient: Ambient, tx: Transaction, token: FormerToken, *, successor: str | None) -> None:
    """Spends the token. ``successor``: what it gets again within the grace period."""
    sealed = successor and ambient.vault.seal_for(
        token.text.encode(), successor.encode(), purpose=_PURPOSE, row=_row(token)
    )
    await queries.spend_former(tx, token.hash, now=ambient.now(), sealed_successor=sealed or None)


async def spent_at(tx: Transaction, token: FormerToken) -> tuple[int, bytes | None] | None:
    """When the token was spent, and its sealed successor. None if it is not spent."""
    return await queries.spent_former(tx, token.hash)


def successor_of(ambient: Ambient, token: FormerToken, sealed: bytes) -> str:
    """The token that replaced a spent one.

    Raises:
        Unavailable: the successor was sealed with a master secret that this process does not have.
    """
    try:
        return ambient.vault.open_for(token.text.encode(), sealed, purpose=_PURPOSE, row=_row(token)).decode()
    except ConfigurationError as problem:
        raise Unavailable(problem.detail) from None


def _row(token: FormerToken) -> str:
    return f"{token.session_id}/{token.generation}"
