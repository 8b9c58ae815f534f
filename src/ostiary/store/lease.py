"""Leases decide which of several processes does a piece of background work.

A lease is a row with its holder and its expiry, by the database's clock. The clocks of the processes do not matter. The
first process that asks after the expiry is the next holder, so a killed process does not have to release anything.

A lease saves work, but it is not a lock: a holder that was paused between asking and working may work at the same time
as the next one. The work must be idempotent. A transaction that begins with `Lease.take` keeps the row locked until its
commit, so during that transaction there is no other holder.
"""

from dataclasses import dataclass
from typing import Final

from ostiary.store.database import Transaction

LONGEST: Final = 86_400_000_000
"""Microseconds. A row that ends further in the future than this was written by a wrong clock and is ignored. Otherwise
no process would do the work until then."""

_NOBODY: Final = ""

_TAKE: Final = (
    "insert into store_lease (name, holder, until) values ($1, $2, $3) on conflict (name) do update"
    " set holder = excluded.holder, until = excluded.until"
    " where store_lease.holder = excluded.holder or store_lease.until <= $4 or store_lease.until > $5 returning until"
)
_LEAVE: Final = "update store_lease set holder = $3, until = $4 where name = $1 and holder = $2"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """``name`` identifies the work, ``holder`` exactly one process. ``lasts``: microseconds, `LONGEST` at most."""

    name: str
    holder: str
    lasts: int

    async def take(self, tx: Transaction, *, now: int) -> bool:
        """Takes or renews the lease. Returns False if another process holds it, or if it is not free yet. Call
        `Database.now` for ``now`` before the transaction, so that the row never ends before its holder expects."""
        row = await tx.one(_TAKE, self.name, self.holder, now + self.lasts, now, now + LONGEST)
        return row is not None

    async def leave(self, tx: Transaction, *, until: int) -> None:
        """Releases the lease: from ``until`` on, any process can take it, including this one. Leases of other holders
        are not changed."""
        await tx.execute(_LEAVE, self.name, self.holder, _NOBODY, until)
