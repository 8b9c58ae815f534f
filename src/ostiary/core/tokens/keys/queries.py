"""All SQL statements on ``signing_keys``. Each update checks the state that it expects. If another process was faster,
it changes nothing and returns False."""

from typing import Final

from ostiary.core.tokens.keys.model import KeyRecord, State
from ostiary.store.database import Reader, Row, Transaction

_COLUMNS: Final = "kid, alg, state, created_at, since, activate_at, sealed_jwk"


async def every(reader: Reader) -> list[KeyRecord]:
    """All keys, the newest first."""
    rows = await reader.all(f"select {_COLUMNS} from signing_keys order by created_at desc, kid")  # noqa: S608
    return [_record(row) for row in rows]


async def insert_first(tx: Transaction, kid: str, alg: str, sealed: bytes, *, now: int) -> bool:
    """Inserts a key that signs from now on. Returns False if another key is current."""
    return await _insert(tx, kid, alg, sealed, state=State.CURRENT, activate_at=now, now=now)


async def insert_next(
    tx: Transaction, kid: str, alg: str, sealed: bytes, *, current: str, activate_at: int, now: int
) -> bool:
    """Inserts the successor of ``current``. Returns False if that key is no longer current or already has a
    successor."""
    if await tx.one("select 1 from signing_keys where kid = $1 and state = 'current'", current) is None:
        return False
    return await _insert(tx, kid, alg, sealed, state=State.NEXT, activate_at=activate_at, now=now)


async def _insert(
    tx: Transaction, kid: str, alg: str, sealed: bytes, *, state: State, activate_at: int, now: int
) -> bool:
    touched = await tx.execute(
        "insert into signing_keys (kid, alg, state, created_at, activate_at, sealed_jwk)"
        " values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        kid,
        alg,
        state,
        now,
        activate_at,
        sealed,
    )
    return touched == 1


async def confirm(tx: Transaction, kid: str, state: State, *, now: int) -> bool:
    touched = await tx.execute(
        "update signing_keys set since = $3 where kid = $1 and state = $2 and since is null", kid, state, now
    )
    return touched == 1


async def hurry(tx: Transaction, kid: str, *, now: int) -> bool:
    """Allows a next key to sign as soon as it has been published for long enough."""
    touched = await tx.execute(
        "update signing_keys set activate_at = $2 where kid = $1 and state = 'next' and activate_at > $2", kid, now
    )
    return touched == 1


async def retire(tx: Transaction, kid: str, sealed_public: bytes) -> bool:
    """Deletes the private part."""
    touched = await tx.execute(
        "update signing_keys set state = 'retired', since = null, sealed_jwk = $2 where kid = $1 and state = 'current'",
        kid,
        sealed_public,
    )
    return touched == 1


async def activate(tx: Transaction, kid: str) -> bool:
    touched = await tx.execute(
        "update signing_keys set state = 'current', since = null where kid = $1 and state = 'next'", kid
    )
    return touched == 1


async def revoke(tx: Transaction, kid: str) -> bool:
    """Deletes everything of the key except its ``kid``."""
    touched = await tx.execute(
        "update signing_keys set state = 'revoked', since = null, sealed_jwk = null"
        " where kid = $1 and state <> 'revoked'",
        kid,
    )
    return touched == 1


async def remove(tx: Transaction, kid: str, state: State) -> bool:
    return await tx.execute("delete from signing_keys where kid = $1 and state = $2", kid, state) == 1


async def reseal(tx: Transaction, kid: str, *, old: bytes, new: bytes) -> bool:
    touched = await tx.execute(
        "update signing_keys set sealed_jwk = $3 where kid = $1 and sealed_jwk = $2", kid, old, new
    )
    return touched == 1


def _record(row: Row) -> KeyRecord:
    kid, alg, state, created_at, since, activate_at, sealed = row
    return KeyRecord(kid, alg, State(state), created_at, since, activate_at, sealed)
