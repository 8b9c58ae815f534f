"""All SQL statements on ``spent_refresh_tokens``, and on ``refresh_tokens``, the tokens in the former format. Signing
keys and status lists have their own in ``keys`` and ``status``."""

from typing import NamedTuple

from ostiary.store.database import SWEEP_ROWS, Reader, Transaction


class Spent(NamedTuple):
    """A refresh token that was used a short time ago. ``at`` is in microseconds since the epoch."""

    hash: bytes
    at: int
    salt: bytes


async def keep_spent(tx: Transaction, session_id: str, generation: int, spent: Spent, *, until: int) -> None:
    await tx.execute(
        "insert into spent_refresh_tokens (session_id, generation, hash, spent_at, salt, until)"
        " values ($1, $2, $3, $4, $5, $6)",
        session_id,
        generation,
        spent.hash,
        spent.at,
        spent.salt,
        until,
    )


async def spent_from(reader: Reader, session_id: str, generation: int, *, most: int) -> list[Spent]:
    """The spent tokens of this generation and later ones, in order."""
    rows = await reader.few(
        "select hash, spent_at, salt from spent_refresh_tokens where session_id = $1 and generation >= $2"
        " order by generation limit $3",
        session_id,
        generation,
        most,
    )
    return [Spent(*row) for row in rows]


async def mark_repeated(tx: Transaction, session_id: str, generation: int) -> bool:
    """Returns False if a second use of the token was recorded before."""
    return (
        await tx.execute(
            "update spent_refresh_tokens set repeated = 1 where session_id = $1 and generation = $2 and repeated = 0",
            session_id,
            generation,
        )
        == 1
    )


async def forget_spent(tx: Transaction, session_id: str) -> None:
    """Deletes what a session that has ended no longer needs: no token of it gets a successor again."""
    await tx.execute("delete from spent_refresh_tokens where session_id = $1", session_id)
    await tx.execute(
        "update refresh_tokens set sealed_successor = null where session_id = $1 and sealed_successor is not null",
        session_id,
    )


async def delete_spent(tx: Transaction, now: int) -> int:
    """Deletes a batch of spent tokens that no longer get a successor. Returns how many."""
    return await tx.execute(
        "delete from spent_refresh_tokens where (session_id, generation) in"
        " (select session_id, generation from spent_refresh_tokens where until <= $1 order by until limit $2)",
        now,
        SWEEP_ROWS,
    )


async def is_upgraded(reader: Reader) -> bool:
    """Whether the database was in use before refresh tokens had the present format."""
    row = await reader.one("select upgraded from refresh_format")
    return row is not None and row[0] > 0


async def former(reader: Reader, token_hash: bytes) -> tuple[str, int] | None:
    """The session and generation of a token. They never change, so reading them needs no lock."""
    row = await reader.one("select session_id, generation from refresh_tokens where hash = $1", token_hash)
    return None if row is None else (row[0], row[1])


async def insert_former(tx: Transaction, token_hash: bytes, session_id: str, *, generation: int, now: int) -> None:
    await tx.execute(
        "insert into refresh_tokens (hash, session_id, generation, issued_at) values ($1, $2, $3, $4)",
        token_hash,
        session_id,
        generation,
        now,
    )


async def spend_former(tx: Transaction, token_hash: bytes, *, now: int, sealed_successor: bytes | None) -> None:
    """Marks the token as spent. The caller holds the lock on the session row and has seen that it is not."""
    await tx.execute(
        "update refresh_tokens set spent_at = $2, sealed_successor = $3 where hash = $1 and spent_at is null",
        token_hash,
        now,
        sealed_successor,
    )


async def spent_former(reader: Reader, token_hash: bytes) -> tuple[int, bytes | None] | None:
    """When the token was spent, and its sealed successor. None if it is not spent."""
    row = await reader.one(
        "select spent_at, sealed_successor from refresh_tokens where hash = $1 and spent_at is not null", token_hash
    )
    return None if row is None else (row[0], row[1])


async def forget_old_successors(tx: Transaction, *, spent_before: int) -> int:
    """Deletes a batch of sealed successors whose grace period is over. Returns how many."""
    return await tx.execute(
        "update refresh_tokens set sealed_successor = null where hash in (select hash from refresh_tokens"
        " where sealed_successor is not null and spent_at < $1 order by spent_at limit $2)",
        spent_before,
        SWEEP_ROWS,
    )


async def delete_of_expired_sessions(tx: Transaction, now: int) -> int:
    """Deletes a batch of tokens of the sessions that `ostiary.core.sessions.queries.delete_expired` would delete next.
    Returns how many. It looks at those sessions only, because a scan of all expired sessions would take longer the more
    there are."""
    return await tx.execute(
        "delete from refresh_tokens where hash in (select t.hash from"
        " (select id from sessions where expires_at <= $1 order by expires_at, id limit $2) s"
        " join refresh_tokens t on t.session_id = s.id limit $2)",
        now,
        SWEEP_ROWS,
    )
