"""All SQL statements on ``refresh_tokens``. Signing keys and status lists have their own in ``keys`` and ``status``."""

from typing import NamedTuple

from ostiary.store.database import SWEEP_ROWS, Reader, Transaction


class Family(NamedTuple):
    """The session and generation of a refresh token. They never change, so reading them needs no lock."""

    session_id: str
    generation: int
    resource: str | None


class Spent(NamedTuple):
    """A refresh token that was used. ``at`` is in microseconds since the epoch."""

    generation: int
    at: int
    sealed_successor: bytes | None


async def insert(tx: Transaction, token_hash: bytes, session_id: str, *, generation: int, now: int) -> None:
    await tx.execute(
        "insert into refresh_tokens (hash, session_id, generation, issued_at) values ($1, $2, $3, $4)",
        token_hash,
        session_id,
        generation,
        now,
    )


async def family_of(reader: Reader, token_hash: bytes) -> Family | None:
    """The session that a refresh token belongs to, whether the token is spent or not."""
    row = await reader.one(
        "select s.id, t.generation, s.resource from refresh_tokens t join sessions s on s.id = t.session_id"
        " where t.hash = $1",
        token_hash,
    )
    return None if row is None else Family(*row)


async def spend(tx: Transaction, token_hash: bytes, *, now: int, sealed_successor: bytes | None) -> bool:
    """Marks the token as spent. Returns False if it already was."""
    return (
        await tx.execute(
            "update refresh_tokens set spent_at = $2, sealed_successor = $3 where hash = $1 and spent_at is null",
            token_hash,
            now,
            sealed_successor,
        )
        == 1
    )


async def spent(reader: Reader, token_hash: bytes) -> Spent | None:
    """None if the token is not spent."""
    row = await reader.one(
        "select generation, spent_at, sealed_successor from refresh_tokens where hash = $1 and spent_at is not null",
        token_hash,
    )
    return None if row is None else Spent(*row)


async def forget_successors(tx: Transaction, session_id: str) -> None:
    """Deletes the sealed successors of a session that has ended. They are no longer needed."""
    await tx.execute(
        "update refresh_tokens set sealed_successor = null where session_id = $1 and sealed_successor is not null",
        session_id,
    )


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
