"""Interleaved measurement: every contender runs once in each round, so that all run under the same conditions.

If other processes use the machine, measurements during which the kernel took the processor away are left out.
"""

import random  # noqa: TID251 - a benchmark has no Ambient
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

Batch: TypeAlias = Callable[[], float]
"""Runs one batch of work and returns the microseconds per item."""

PIECE: Final = 300.0  # microseconds: a small part of the kernel's time slice
TRIES: Final = 20


def medians(batches: Mapping[str, Batch], *, rounds: int) -> dict[str, float]:
    """Returns the median batch of each contender in microseconds per item."""
    for batch in batches.values():
        batch()  # first-call setup happens before the measurement
    taken: dict[str, list[float]] = {name: [] for name in batches}
    order = random.Random(0)  # so that no contender always runs after the same one or after an idle moment
    for _ in range(rounds):
        for name in order.sample(list(batches), len(batches)):
            taken[name].append(batches[name]())
    return {name: statistics.median(each) for name, each in taken.items()}


def batch_of(prepare: Callable[[], Sequence[Any]], work: Callable[[Any], object]) -> Batch:
    """Runs ``work`` on each item that ``prepare`` returns. The time for ``prepare`` is not counted.

    A batch is cut into pieces of about `PIECE`, so that slow contenders are not interrupted more often than fast ones.
    """
    size = 1

    def batch() -> float:
        nonlocal size
        for _ in range(TRIES):
            first, *items = prepare()
            work(first)  # brings code and data back into the processor's caches
            pieces = [_timed(work, piece) for piece in _cut(items, size)]
            if whole := [taken for taken, interrupted in pieces if not interrupted]:
                break
            size = max(1, size // 2)
        # if every piece was interrupted, the fastest one is closest to an uninterrupted run
        typical = statistics.median(whole) if whole else min(pieces)[0]
        size = max(1, int(PIECE / typical))
        return typical

    return batch


def _cut(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _timed(work: Callable[[Any], object], items: Sequence[Any]) -> tuple[float, bool]:
    """Returns the microseconds per item, and whether the kernel gave the processor to another process."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
    started = time.perf_counter()
    for item in items:
        work(item)
    taken = (time.perf_counter() - started) / len(items) * 1e6
    return taken, resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw != before
