"""The change feed: what every process must know within a second, in the order of commits.

::

    transaction ──> append()    the last statement takes the next numbers from the one counter row,
                                so numbers are in commit order and no number is skipped
    Follower    ──> snapshot    all entries and the head, in one statement
                ──> poll        newer entries, every 250 ms or when woken; after a gap, a new snapshot

An entry may be applied more than once. It stays until its time has passed. Only a successful read makes a follower
fresh, because a follower that cannot read does not know what was revoked.

A failover can lose the newest entries and assign their numbers again. So each append writes a random mark into its
rows. A reader continues only if the row at its number still has the mark that it read there. When the time of the
newest row has passed, cleanup only empties it, so that readers at the end of the feed find its mark.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, NoReturn, Protocol

from ostiary.store.database import SWEEP_ROWS, Database, Reader, Row, Transaction
from ostiary.trace import trace

POLL_SECONDS: Final = 0.25
"""The longest pause between two reads."""

BREATH_SECONDS: Final = 0.01
"""The shortest pause between two reads. A follower that every commit wakes must not read once for each."""

INSERT_ROWS: Final = 100
"""Rows that one statement appends. On PostgreSQL each statement is a round trip, and other writers wait."""

MOST_WAITING: Final = 1000
"""The most callers that may wait for progress at the same time. Each of them holds a connection."""

# One statement, so that entries, head and generation are from the same moment on both engines. n is the row at the end,
# a is the row where the reader is.
_END: Final = (
    "select h.seq, g.generation, coalesce(n.mark, 0), coalesce(a.mark, 0),"
    " f.seq, f.mark, f.kind, f.key, f.value, f.until from feed_head h cross join store_generation g"
    " left join feed n on n.seq = h.seq left join feed a on a.seq = $1 left join"
)
_READ: Final = f"{_END} feed f on f.seq > $1 order by f.seq"
_SOME: Final = "(select * from feed where seq > $1 order by seq limit $2)"
_READ_SOME: Final = f"{_END} {_SOME} f on f.seq > $1 order by f.seq"

_EMPTIED: Final = "emptied"  # a kind that nothing handles

_NO_MARK: Final = 0  # there is no such row, or it is from a version that knows no marks

_MARK_BITS: Final = 53  # clients may read JSON numbers as doubles

_log = logging.getLogger("ostiary.store")


class Entry(NamedTuple):
    """``kind`` says what ``key`` and ``value`` mean. ``until``, in microseconds, is when the entry may be removed."""

    kind: str
    key: str
    value: int
    until: int


class Position(NamedTuple):
    """How far a follower has read. The generation changes when a backup is restored."""

    generation: int
    seq: int
    mark: int | None = None
    """The mark of the row ``seq``, or 0 if there is no such row. None if the follower does not know it."""

    def is_same(self, other: "Position") -> bool:
        """Whether both are the same place, as far as their marks are known."""
        return self[:2] == other[:2] and (None in {self.mark, other.mark} or self.mark == other.mark)


class Portion(NamedTuple):
    """A part of the feed: the entries after ``start`` and up to ``last``. ``end`` is where the feed ended then.

    ``start`` is None for a snapshot, which begins at the start of the feed."""

    start: Position | None
    last: Position
    end: Position
    entries: list[Entry]


class Random(Protocol):
    """Where marks come from."""

    def token(self, size: int) -> bytes:
        """``size`` unpredictable bytes."""


async def append(tx: Transaction, entries: Sequence[Entry], *, random: Random) -> int:
    """Appends entries and returns the number of the last one. Call it last in a transaction.

    From here to the commit no other transaction can append. Any work in between would make all of them wait.
    """
    mark = int.from_bytes(random.token(8)) >> (64 - _MARK_BITS) or 1
    await tx.announce()
    row = await tx.one("update feed_head set seq = seq + $1 returning seq", len(entries))
    if row is None:
        raise LookupError("feed_head has no row")
    last = int(row[0])
    numbered = list(enumerate(entries, start=last - len(entries) + 1))
    for some in (numbered[at : at + INSERT_ROWS] for at in range(0, len(numbered), INSERT_ROWS)):
        await tx.execute(_insert(len(some)), *(value for number, entry in some for value in (number, mark, *entry)))
    return last


async def sweep(tx: Transaction, now: int) -> int:
    """Removes some entries whose time has passed and returns how many. Call it again if that was `SWEEP_ROWS`.

    The newest row stays, without its content: its mark tells the readers at the end of the feed whether they can
    continue.
    """
    await tx.execute(
        "update feed set kind = $1, key = '', value = 0"
        " where seq = (select seq from feed_head) and until <= $2 and kind <> $1",
        _EMPTIED,
        now,
    )
    return await tx.execute(
        "delete from feed where seq in (select seq from feed where until <= $1"
        " and seq < (select seq from feed_head) order by seq limit $2)",
        now,
        SWEEP_ROWS,
    )


async def head(reader: Reader) -> Position:
    """The end of the feed."""
    row = await reader.one(
        "select g.generation, h.seq, coalesce(n.mark, 0)"
        " from feed_head h cross join store_generation g left join feed n on n.seq = h.seq"
    )
    if row is None:
        raise LookupError("feed_head or store_generation has no row")
    return Position(*row)


async def read_after(reader: Reader, after: Position | None, *, limit: int) -> Portion:
    """The first ``limit`` entries after a position, from one consistent snapshot of the database. Without a position,
    or if the feed has no such position (any more), the entries from the start of the feed."""
    if after is not None:
        found = _Found(await reader.all(_READ_SOME, after.seq, limit))
        if found.has(after):
            return found.portion(after, limit=limit)
    return _Found(await reader.all(_READ_SOME, 0, limit)).portion(None, limit=limit)


class Progress:
    """How far this process has read the feed. Callers can wait until it has read more."""

    def __init__(self) -> None:
        self.position: Position = Position(0, 0)
        self.snapshots: int = 0
        """How often everything was read. After the first time, it means that what was read may no longer be true."""
        self.asked_at: float = float("-inf")
        """When the last successful read began, by the monotonic clock. Everything committed before then is known."""
        self._moved = asyncio.Event()
        self._waiting = 0
        self._closed = False

    def advance(self, position: Position, *, is_snapshot: bool = False) -> None:
        self.snapshots += is_snapshot
        if position != self.position:
            self.position = position
            self._wake()

    def close(self) -> None:
        """Ends every wait."""
        self._closed = True
        self._wake()

    def has_passed(self, position: Position) -> bool:
        """Whether the feed was read beyond ``position``, or has another history now."""
        if self.position[:2] == position[:2]:
            return not self.position.is_same(position)
        return self.position.generation != position.generation or self.position.seq > position.seq

    async def wait(self, position: Position, timeout: float) -> None:
        """Returns when `has_passed` is true for the position, or after ``timeout`` seconds. Returns at once if it is
        closed, or if `MOST_WAITING` callers are already waiting."""
        if self._waiting >= MOST_WAITING:
            return
        self._waiting += 1
        try:
            async with asyncio.timeout(timeout):
                while not self._closed and not self.has_passed(position):
                    await self._moved.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1

    def _wake(self) -> None:
        self._moved.set()
        self._moved.clear()


class Follower:
    """Passes every entry to ``apply``, which must not fail and must be idempotent: it may get an entry again."""

    def __init__(
        self,
        database: Database,
        apply: Callable[[Sequence[Entry]], None],
        *,
        progress: Progress | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._apply = apply
        self._progress = progress or Progress()
        self._monotonic = monotonic
        self._position: Position | None = None
        self._reading = asyncio.Lock()

    def age(self) -> float:
        """How old the follower's state is, in seconds: it may lack newer entries. Infinite before the first read."""
        return self._monotonic() - self._progress.asked_at

    async def catch_up(self) -> None:
        """Reads now. Afterwards, everything that was committed before the call has been applied."""
        async with self._reading:
            asked_at = self._monotonic()  # before the read, which sees everything committed by then
            await self._read()
            self._progress.asked_at = asked_at

    async def run(self) -> NoReturn:
        """Reads until it is cancelled: see `end`. On an error it logs, ages and continues."""
        while True:
            try:
                await self.catch_up()
                await asyncio.sleep(BREATH_SECONDS)
                await self._database.wait_for_change(POLL_SECONDS - BREATH_SECONDS)
            except Exception as problem:  # noqa: BLE001 — a follower that stopped would stay stale forever
                _log.warning("feed.read_failed", extra={"error": trace(problem)})
                await asyncio.sleep(POLL_SECONDS)

    async def end(self, run: "asyncio.Task[NoReturn]") -> None:
        """Cancels `run`, but not during a read, which could leave a connecting driver in a broken state."""
        async with self._reading:
            run.cancel()
            await asyncio.wait([run])

    async def _read(self) -> None:
        after = self._position
        if after is not None:
            found = _Found(await self._database.few(_READ, after.seq))
            if found.has(after) and found.end.seq - after.seq == len(found.entries):  # numbers are unique
                return self._take(found)
            if found.has_lost(after):
                await self._keep_numbers(after.seq, found.end.seq)
        found = _Found(await self._database.all(_READ, 0))
        return self._take(found, is_snapshot=True)

    async def _keep_numbers(self, read: int, end: int) -> None:
        """The database has lost entries. If it has not reached their numbers again, skips them: remote followers refuse
        a feed that goes back, and would refuse this one until it has grown to where it was."""
        _log.error("feed.history_changed", extra={"read": read, "end": end})
        if end < read:
            await self._database.execute("update feed_head set seq = $1 where seq < $2", read, read)

    def _take(self, found: "_Found", *, is_snapshot: bool = False) -> None:
        if found.entries:
            self._apply(found.entries)
        self._position = found.end
        self._progress.advance(found.end, is_snapshot=is_snapshot)


class _Found:
    """The parsed rows of `_READ` or `_READ_SOME`. If there is nothing new, there is one row, with nulls in place of an
    entry."""

    def __init__(self, rows: Sequence[Row]) -> None:
        if not rows:
            raise LookupError("feed_head or store_generation has no row")
        seq, generation, mark, self._anchor, *_ = rows[0]
        self._last = rows[-1][4:6]
        self.end: Final = Position(generation, seq, mark)
        self.entries: Final = [Entry(*row[6:]) for row in rows if row[4] is not None]

    def has(self, position: Position) -> bool:
        """Whether the position is in the history of this feed."""
        return (
            position.generation == self.end.generation
            and position.seq <= self.end.seq
            and position.mark in {None, self._anchor}
        )

    def has_lost(self, position: Position) -> bool:
        """Whether what was read at the position is not in this feed. A missing row is no proof: it was cleaned up."""
        if position.generation != self.end.generation:
            return False
        return position.seq > self.end.seq or self._anchor not in {_NO_MARK, position.mark}

    def portion(self, start: Position | None, *, limit: int) -> Portion:
        last = Position(self.end.generation, *self._last) if len(self.entries) == limit else self.end
        return Portion(start, last, self.end, self.entries)


@functools.cache
def _insert(rows: int) -> str:
    starts = range(1, 6 * rows + 1, 6)
    values = ", ".join(f"(${n}, ${n + 1}, ${n + 2}, ${n + 3}, ${n + 4}, ${n + 5})" for n in starts)
    return f"insert into feed (seq, mark, kind, key, value, until) values {values}"  # noqa: S608 — only placeholders
