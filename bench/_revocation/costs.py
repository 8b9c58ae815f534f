"""The cost of holding revocations in memory: verification time per token, and memory per revocation."""

import contextlib
import gc
import multiprocessing
import os
import statistics
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from _tokens.material import ISSUER, NOW, fresh, issue, many_claims, our_key, our_public_key
from _tokens.rounds import Batch, batch_of

from ostiary.core.entropy import SystemRandom, identifier
from ostiary.jose import Key
from ostiary.verifier import KnownRevocations, Verifier
from ostiary.verifier.limits import MAX_LIFETIME

LIVE: Final = (0, 10_000, 1_000_000, 10_000_000)
ALGORITHMS: Final = ("HS256", "ES256")
TOKENS: Final = {"HS256": 100, "ES256": 20}
ROUNDS: Final = 30
ROOM: Final = 320
"""Bytes that must be free for each revocation. They cover the revocation itself and the growth of a dict."""

TELLING: Final = 2**20
"""Bytes. A process allocates memory in large pieces, so a smaller difference is not meaningful."""


class Cost(NamedTuple):
    live: int
    bytes_each: float | None
    """None if there are too few revocations to measure."""
    microseconds: dict[str, float]


class TooLittleMemory(NamedTuple):
    live: int
    needed: int
    free: int


class Knowing:
    """A process that holds ``live`` revocations in memory."""

    def __init__(self, live: int) -> None:
        self.live: Final = live
        # spawned, not forked, so that its memory is separate
        self._process = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        self.bytes_each: Final[float | None] = self._process.submit(_learn, live).result()

    def measure(self) -> dict[str, float]:
        return self._process.submit(_measure).result()

    def close(self) -> None:
        self._process.shutdown()


def every_cost() -> list[Cost | TooLittleMemory]:
    """Measures one process per number of revocations. They take turns, so that all run under the same conditions."""
    costs: list[Cost | TooLittleMemory] = []
    with contextlib.ExitStack() as stack:
        knowing = []
        for live in LIVE:
            free, needed = _free_memory(), live * ROOM
            if needed > free:
                costs.append(TooLittleMemory(live, needed, free))
            else:
                knowing.append(stack.enter_context(contextlib.closing(Knowing(live))))
        rounds = [[each.measure() for each in knowing] for _ in range(ROUNDS)]
        for each, taken in zip(knowing, zip(*rounds, strict=True), strict=True):
            medians = {name: statistics.median(round_[name] for round_ in taken) for name in taken[0]}
            costs.append(Cost(each.live, each.bytes_each, medians))
    return sorted(costs)


_batches: Final[dict[str, Batch]] = {}
"""Of this process, once it has learned."""


def _learn(live: int) -> float | None:
    """Bytes for each."""
    known = KnownRevocations(fresh=lambda: True)
    _batches.update(_made(known))
    _measure()  # first-call allocations happen before memory is measured
    before = _memory()
    for number in range(live):
        # the times are spread evenly over the lifetime; each id has 30 characters and is a separate object
        known.end_session(identifier("ses", SystemRandom()), NOW + number * MAX_LIFETIME // live)
    taken = _memory() - before
    gc.freeze()  # otherwise the collector would scan millions of objects during a measurement
    return taken / live if taken > TELLING else None


def _measure() -> dict[str, float]:
    return {name: batch() for name, batch in _batches.items()}


def _made(known: KnownRevocations) -> dict[str, Batch]:
    batches = {}
    for algorithm in ALGORITHMS:
        key, tokens = our_public_key(algorithm), _tokens(algorithm)
        batches[algorithm] = _uncached(_verifier(key, known), key, tokens)
        batches[f"{algorithm}, cached"] = _cached(_verifier(key, known), tokens)
    return batches


def _tokens(algorithm: str) -> list[str]:
    return [issue(claims, our_key(algorithm)) for claims in many_claims(TOKENS[algorithm])]


def _verifier(key: Key, known: KnownRevocations) -> Verifier:
    return Verifier(keys=[key], issuer=ISSUER, audience=ISSUER, revocations=known)


def _uncached(verifier: Verifier, key: Key, tokens: list[str]) -> Batch:
    def forget() -> list[str]:
        verifier.replace_keys([key])
        verifier.verify(tokens[0])  # in a running service the header is already cached
        return fresh(tokens[1:])

    return batch_of(forget, verifier.verify)


def _cached(verifier: Verifier, tokens: list[str]) -> Batch:
    for token in tokens:
        verifier.verify(token)
    return batch_of(lambda: fresh(tokens * 10), verifier.verify)


def _memory() -> int:
    """Returns the resident memory of this process in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _free_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("/proc/meminfo does not contain MemAvailable")
