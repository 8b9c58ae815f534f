"""The grace after a refresh token was spent: its holder may have lost the answer, and gets the same successor again.

The successor is kept for it, sealed so that neither the database nor the server alone can read it: the key comes from
the spent token, which is stored nowhere, and the master secret. It is bound to its session and generation.
"""

from typing import Final

from ostiary.core.clock import MICROSECONDS
from ostiary.core.plug import Ambient
from ostiary.core.tokens import queries
from ostiary.core.tokens.queries import Spent
from ostiary.errors import ConfigurationError, Unavailable
from ostiary.store.database import Transaction

LONGEST: Final = 60
"""Seconds that a grace may be set to."""

_PURPOSE: Final = "grace/1"


def seal(ambient: Ambient, *, spent: str, successor: str, session_id: str, generation: int) -> bytes | None:
    """``successor`` for who comes again with the token ``spent`` of that generation. None where there is no grace."""
    if not ambient.settings.refresh_grace:
        return None
    row = _row(session_id, generation)
    return ambient.vault.seal_for(spent.encode(), successor.encode(), purpose=_PURPOSE, row=row)


def successor_of(ambient: Ambient, token: str, spent: Spent, *, session_id: str) -> str | None:
    """What replaced ``token``, while the grace lasts: it is counted from when the token was first spent, never again.

    Raises:
        Unavailable: it was sealed with a master secret that this process does not have.
    """
    if spent.sealed_successor is None or ambient.now() - spent.at >= ambient.settings.refresh_grace * MICROSECONDS:
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
