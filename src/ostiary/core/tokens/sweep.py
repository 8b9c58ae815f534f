"""What of tokens and their sessions has expired, removed in small portions."""

from ostiary.core.sessions.queries import delete_expired as delete_expired_sessions
from ostiary.core.tokens import grace, queries
from ostiary.core.tokens.status import service as status
from ostiary.store.database import SWEEP_ROWS, Transaction


async def sweep(tx: Transaction, now: int) -> int:
    """Removes the tokens of the sessions that expired first, then those sessions, and what else of tokens is over.
    Returns how many rows.

    A session that was refreshed for weeks has thousands of tokens: deleted with them in it, some hundred sessions
    would take them all along in one statement. So sessions go only when nothing is left of what would go with them.
    """
    tokens = await queries.delete_of_expired_sessions(tx, now)
    if tokens == SWEEP_ROWS:
        return tokens
    others = [await portion(tx, now) for portion in (delete_expired_sessions, grace.sweep, status.sweep)]
    return tokens + sum(others)
