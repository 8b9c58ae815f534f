"""Measuring side by side: every contender works once in each round, so that all meet the same machine.

Where others use the machine too, a batch during which the processor was taken away says nothing, and is done again.
"""

import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

Batch: TypeAlias = Callable[[], float]
"""One batch of work → the microseconds that one item of it took."""

TRIES: Final = 20


def medians(batches: Mapping[str, Batch], *, rounds: int) -> dict[str, float]:
    """The median batch of each contender, in microseconds for one item."""
    for batch in batches.values():
        batch()  # what is made at the first call is made now
    taken: dict[str, list[float]] = {name: [] for name in batches}
    for _ in range(rounds):
        for name, batch in batches.items():
            taken[name].append(batch())
    return {name: statistics.median(each) for name, each in taken.items()}


def batch_of(prepare: Callable[[], Sequence[Any]], work: Callable[[Any], object]) -> Batch:
    """``work`` on each item that ``prepare`` gives; preparing takes no part in the time."""

    def batch() -> float:
        for _ in range(TRIES):
            items, before = prepare(), _interruptions()
            started = time.perf_counter()
            for item in items:
                work(item)
            taken = (time.perf_counter() - started) / len(items) * 1e6
            if _interruptions() == before:
                break
        return taken

    return batch


def _interruptions() -> int:
    """How often the kernel has given the processor to somebody else, though we had more to do."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
