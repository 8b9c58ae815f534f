"""Leases: they decide which of several processes does a piece of background work.

A lease is a row with its holder and its expiry, by the database's clock. The clocks of the processes do not matter. The
first process that asks after the expiry is the next holder, so a process that was killed has nothing to give back.

A lease saves work and is not a lock: a holder that was paused between asking and working goes on at the same time as
the next one. The work must be idempotent. A transaction that begins with `Lease.take` has the row locked until
its commit, so within it there is no other holder.
"""

from dataclasses import dataclass
from typing import Final

from ostiary.store.database import Transaction

LONGEST: Final = 86_400_000_000
"""Microseconds. A row that ends later than so long from now was written by a clock that was wrong, and counts for
nothing: else nobody would do the work until that time had come."""

_NOBODY: Final = ""

_TAKE: Final = (
    "insert into store_lease (name, holder, until) values ($1, $2, $3) on conflict (name) do update"
    " set holder = excluded.holder, until = excluded.until"
    " where store_lease.holder = excluded.holder or store_lease.until <= $4 or store_lease.until > $5 returning until"
)
_LEAVE: Final = "update store_lease set holder = $3, until = $4 where name = $1 and holder = $2"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """``name`` is of the work, ``holder`` of one process and no other. ``lasts``: microseconds, `LONGEST` at most."""

    name: str
    holder: str
    lasts: int

    async def take(self, tx: Transaction, *, now: int) -> bool:
        """Takes or renews it. False: another holds it, or its time has not come. ``now`` is from `Database.now`, asked
        before: the row then never ends before its holder believes it does."""
        row = await tx.one(_TAKE, self.name, self.holder, now + self.lasts, now, now + LONGEST)
        return row is not None

    async def leave(self, tx: Transaction, *, until: int) -> None:
        """From ``until`` on, the first process that asks gets it, also this one. Leases of others are not changed."""
        await tx.execute(_LEAVE, self.name, self.holder, _NOBODY, until)
