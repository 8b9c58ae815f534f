"""Measuring side by side: every contender works once in each round, so that all meet the same machine.

Where others use the machine too, what was measured while the processor was taken away says nothing, and is left out.
"""

import random  # noqa: TID251 - a benchmark has no Ambient
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

Batch: TypeAlias = Callable[[], float]
"""One batch of work → the microseconds that one item of it took."""

PIECE: Final = 300.0  # microseconds: a small part of the time that the kernel gives to anybody at once
TRIES: Final = 20


def medians(batches: Mapping[str, Batch], *, rounds: int) -> dict[str, float]:
    """The median batch of each contender, in microseconds for one item."""
    for batch in batches.values():
        batch()  # what is made at the first call is made now
    taken: dict[str, list[float]] = {name: [] for name in batches}
    order = random.Random(0)  # so that nobody always follows the same one, or an idle moment
    for _ in range(rounds):
        for name in order.sample(list(batches), len(batches)):
            taken[name].append(batches[name]())
    return {name: statistics.median(each) for name, each in taken.items()}


def batch_of(prepare: Callable[[], Sequence[Any]], work: Callable[[Any], object]) -> Batch:
    """``work`` on each item that ``prepare`` gives; preparing takes no part in the time.

    A batch is cut into pieces of about `PIECE`, so that slow contenders are interrupted no more often than fast ones.
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
        # where not one was left alone, the fastest is the nearest to what it would have been
        typical = statistics.median(whole) if whole else min(pieces)[0]
        size = max(1, int(PIECE / typical))
        return typical

    return batch


def _cut(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _timed(work: Callable[[Any], object], items: Sequence[Any]) -> tuple[float, bool]:
    """Microseconds for one item, and whether the kernel gave the processor to somebody else meanwhile."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
    started = time.perf_counter()
    for item in items:
        work(item)
    taken = (time.perf_counter() - started) / len(items) * 1e6
    return taken, resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw != before
