"""`SqlHot`: the `Hot` port in the database, on either engine. It needs no other server."""

from typing import Final

from ostiary.store.database import SWEEP_ROWS, Database, Transaction
from ostiary.store.hot import Rate, hashed

# GCRA: each take moves full_at one interval into the future, starting from now if it lies in the past. $1 key, $2 now,
# $3 interval, $4 the latest full_at that still allows a take, $5 the new value of a fresh counter. $6: a later full_at
# was written by a clock that was ahead. It would refuse everybody until the clock gets there, so it starts anew.
_TAKE: Final = (
    "insert into hot_rate (key, full_at) values ($1, $5) on conflict (key) do update"
    " set full_at = case when hot_rate.full_at > $2 and hot_rate.full_at <= $6 then hot_rate.full_at + $3 else $5 end"
    " where hot_rate.full_at <= $4 or hot_rate.full_at > $6 returning full_at"
)

_GIVE_BACK: Final = (
    "update hot_rate set full_at = case when full_at - $3 > $2 then full_at - $3 else $2 end where key = $1"
)

_RESERVE: Final = (
    "insert into hot_reservation (key, until) values ($1, $2) on conflict (key) do update"
    " set until = excluded.until where hot_reservation.until <= $3 returning until"
)

_SWEEPS: Final = (
    "delete from hot_rate where key in (select key from hot_rate where full_at <= $1 limit $2)",
    "delete from hot_reservation where key in (select key from hot_reservation where until <= $1 limit $2)",
)


class SqlHot:
    """Uses a database that its owner opens and closes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def take(self, key: str, rate: Rate, *, now: int) -> int:
        name = hashed(key)
        latest = now + rate.tolerance

        async def body(tx: Transaction) -> int:
            if await tx.one(_TAKE, name, now, rate.interval, latest, now + rate.interval, rate.latest(now)):
                return 0
            row = await tx.one("select full_at from hot_rate where key = $1", name)
            # the refused upsert has locked the row, so it exists
            return int(row[0]) - latest if row is not None else rate.interval

        return await self._database.transaction(body)

    async def give_back(self, key: str, rate: Rate, *, now: int) -> None:
        await self._database.execute(_GIVE_BACK, hashed(key), now, rate.interval)

    async def reserve(self, key: str, *, until: int, now: int) -> bool:
        async def body(tx: Transaction) -> bool:
            return await tx.one(_RESERVE, hashed(key), until, now) is not None

        return await self._database.transaction(body)

    async def sweep(self, now: int) -> None:
        for statement in _SWEEPS:
            while await self._database.execute(statement, now, SWEEP_ROWS) == SWEEP_ROWS:
                pass
