"""The grace period of a spent refresh token. A client that may have lost the response gets the same successor again.

The successor is stored for that purpose. It is sealed so that neither the database nor the server alone can read it:
the key is derived from the spent token, which is not stored anywhere, and the master secret. It is bound to its session
and generation.
"""

from typing import Final

from ostiary.core.clock import MICROSECONDS
from ostiary.core.plug import Ambient
from ostiary.core.tokens import queries
from ostiary.core.tokens.queries import Spent
from ostiary.core.tokens.settings import TokenSettings
from ostiary.errors import ConfigurationError, Unavailable
from ostiary.store.database import Transaction

LONGEST: Final = 60
"""Seconds. The longest grace period that can be configured."""

_PURPOSE: Final = "grace/1"


def seal(ambient: Ambient, *, spent: str, successor: str, session_id: str, generation: int) -> bytes | None:
    """Seals ``successor`` for a client that sends the token ``spent`` of this generation again. None without a grace
    period."""
    if not ambient.settings.of(TokenSettings).refresh_grace:
        return None
    row = _row(session_id, generation)
    return ambient.vault.seal_for(spent.encode(), successor.encode(), purpose=_PURPOSE, row=row)


def successor_of(ambient: Ambient, token: str, spent: Spent, *, session_id: str) -> str | None:
    """The token that replaced ``token``, or None after the grace period. The period starts when the token is first
    spent and is never extended.

    Raises:
        Unavailable: the successor was sealed with a master secret that this process does not have.
    """
    if (
        spent.sealed_successor is None
        or ambient.now() - spent.at >= ambient.settings.of(TokenSettings).refresh_grace * MICROSECONDS
    ):
        return None
    row = _row(session_id, spent.generation)
    try:
        return ambient.vault.open_for(token.encode(), spent.sealed_successor, purpose=_PURPOSE, row=row).decode()
    except ConfigurationError as problem:
        raise Unavailable(problem.detail) from None


async def sweep(tx: Transaction, now: int) -> int:
    return await queries.forget_old_successors(tx, spent_before=now - LONGEST * MICROSECONDS)


def _row(session_id: str, generation: int) -> str:
    return f"{session_id}/{generation}"
