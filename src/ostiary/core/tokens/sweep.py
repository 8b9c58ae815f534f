"""Removes expired tokens and their sessions in small batches."""

from ostiary.core.sessions.queries import delete_expired as delete_expired_sessions
from ostiary.core.tokens import grace, queries
from ostiary.core.tokens.status import service as status
from ostiary.store.database import SWEEP_ROWS, Transaction


async def sweep(tx: Transaction, now: int) -> int:
    """Removes the tokens of the sessions that expired first, then those sessions, then other expired token data.
    Returns the number of rows.

    A session that was refreshed for weeks has thousands of tokens. Deleting a few hundred such sessions would, by
    cascade, delete all their tokens in one statement. So a session is deleted only when it has no tokens left.
    """
    tokens = await queries.delete_of_expired_sessions(tx, now)
    if tokens == SWEEP_ROWS:
        return tokens
    others = [await portion(tx, now) for portion in (delete_expired_sessions, grace.sweep, status.sweep)]
    return tokens + sum(others)
