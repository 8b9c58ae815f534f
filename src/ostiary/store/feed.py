"""The change feed: what every process must know within a second, in the order of commits.

::

    transaction ──> append()    the last statement takes the next numbers from the one counter row,
                                so numbers are in commit order and no number is skipped
    Follower    ──> snapshot    all entries and the head, in one statement
                ──> poll        newer entries, every 250 ms or when woken; after a gap, a new snapshot

An entry may be applied more than once. It stays until its time has passed. Only a successful read makes a follower
fresh, because a follower that cannot read does not know what was revoked.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, NoReturn

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

# One statement, so that entries, head and generation are from the same moment on both engines.
_READ: Final = (
    "select h.seq, g.generation, f.seq, f.kind, f.key, f.value, f.until"
    " from feed_head h cross join store_generation g left join feed f on f.seq > $1 order by f.seq"
)
_READ_SOME: Final = (
    "select h.seq, g.generation, f.seq, f.kind, f.key, f.value, f.until"
    " from feed_head h cross join store_generation g"
    " left join (select * from feed where seq > $1 order by seq limit $2) f on f.seq > $1 order by f.seq"
)

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


class Portion(NamedTuple):
    """A part of the feed. ``entries`` are all up to the number ``last``. ``end`` is where the feed ended then."""

    end: Position
    last: int
    entries: list[Entry]


async def append(tx: Transaction, entries: Sequence[Entry]) -> int:
    """Appends entries and returns the number of the last one. Call it last in a transaction.

    From here to the commit no other transaction can append. Any work in between would make all of them wait.
    """
    await tx.announce()
    row = await tx.one("update feed_head set seq = seq + $1 returning seq", len(entries))
    if row is None:
        raise LookupError("feed_head has no row")
    last = int(row[0])
    numbered = list(enumerate(entries, start=last - len(entries) + 1))
    for some in (numbered[at : at + INSERT_ROWS] for at in range(0, len(numbered), INSERT_ROWS)):
        await tx.execute(_insert(len(some)), *(value for number, entry in some for value in (number, *entry)))
    return last


async def sweep(tx: Transaction, now: int) -> int:
    """Removes some entries whose time has passed and returns how many. Call it again if that was `SWEEP_ROWS`."""
    return await tx.execute(
        "delete from feed where seq in (select seq from feed where until <= $1 order by seq limit $2)", now, SWEEP_ROWS
    )


async def head(reader: Reader) -> Position:
    """The end of the feed."""
    row = await reader.one("select g.generation, h.seq from feed_head h cross join store_generation g")
    if row is None:
        raise LookupError("feed_head or store_generation has no row")
    return Position(*row)


async def read_after(reader: Reader, seq: int, *, limit: int) -> Portion:
    """The first ``limit`` entries after the number ``seq``, from one consistent snapshot."""
    rows = await reader.all(_READ_SOME, seq, limit)
    end, entries = _parsed(rows)
    return Portion(end, last=rows[-1][2] if len(entries) == limit else end.seq, entries=entries)


class Progress:
    """How far this process has read the feed. Callers can wait until it has read more."""

    def __init__(self) -> None:
        self.position: Position = Position(0, 0)
        self.asked_at: float = float("-inf")
        """When the last successful read began, by the monotonic clock. Everything committed before then is known."""
        self._moved = asyncio.Event()
        self._waiting = 0
        self._closed = False

    def advance(self, position: Position) -> None:
        if position != self.position:
            self.position = position
            self._wake()

    def close(self) -> None:
        """Ends every wait."""
        self._closed = True
        self._wake()

    def has_passed(self, position: Position) -> bool:
        """Whether the feed was read beyond ``position``, or has another generation now."""
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
            position, entries = _parsed(await self._database.few(_READ, after.seq))
            if _continues(after, position, len(entries)):
                return self._take(position, entries)
        position, entries = _parsed(await self._database.all(_READ, 0))
        return self._take(position, entries)

    def _take(self, position: Position, entries: Sequence[Entry]) -> None:
        if entries:
            self._apply(entries)
        self._position = position
        self._progress.advance(position)


@functools.cache
def _insert(rows: int) -> str:
    starts = range(1, 5 * rows + 1, 5)
    values = ", ".join(f"(${n}, ${n + 1}, ${n + 2}, ${n + 3}, ${n + 4})" for n in starts)
    return f"insert into feed (seq, kind, key, value, until) values {values}"  # noqa: S608 — only placeholders


def _parsed(rows: Sequence[Row]) -> tuple[Position, list[Entry]]:
    """Parses the rows of `_READ`. If there is nothing new, there is one row, with nulls in place of an entry."""
    if not rows:
        raise LookupError("feed_head or store_generation has no row")
    seq, generation = rows[0][:2]
    return Position(generation, seq), [Entry(*row[3:]) for row in rows if row[2] is not None]


def _continues(after: Position, position: Position, count: int) -> bool:
    """Whether ``count`` entries are all those between the positions. Numbers are unique, so counting is enough."""
    return position.generation == after.generation and position.seq - after.seq == count
