"""Every statement on ``refresh_tokens``; those on ``signing_keys`` are in `ostiary.core.tokens.keys.queries`."""

from ostiary.store.database import SWEEP_ROWS, Reader, Transaction


async def insert(tx: Transaction, token_hash: bytes, session_id: str, *, generation: int, now: int) -> None:
    await tx.execute(
        "insert into refresh_tokens (hash, session_id, generation, issued_at) values ($1, $2, $3, $4)",
        token_hash,
        session_id,
        generation,
        now,
    )


async def session_of(reader: Reader, token_hash: bytes) -> str | None:
    """The session a refresh token belongs to, spent or not. It never changes, so it needs no lock."""
    row = await reader.one("select session_id from refresh_tokens where hash = $1", token_hash)
    return None if row is None else str(row[0])


async def spend(tx: Transaction, token_hash: bytes, *, now: int) -> int | None:
    """Spends the token and returns its generation. None: it was spent before."""
    row = await tx.one(
        "update refresh_tokens set spent_at = $2 where hash = $1 and spent_at is null returning generation",
        token_hash,
        now,
    )
    return None if row is None else int(row[0])


async def delete_of_expired_sessions(tx: Transaction, now: int) -> int:
    """Deletes some tokens of the sessions that `ostiary.core.sessions.queries.delete_expired` would delete next, and
    returns how many. Only of those: a look at all that have expired would be as long as there are many."""
    return await tx.execute(
        "delete from refresh_tokens where hash in (select t.hash from"
        " (select id from sessions where expires_at <= $1 order by expires_at, id limit $2) s"
        " join refresh_tokens t on t.session_id = s.id limit $2)",
        now,
        SWEEP_ROWS,
    )
