"""What revocations cost a process that knows them: time for each token that it verifies, and memory."""

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
"""Bytes that must be free for each revocation: what one takes, and what a dict needs while it grows."""

TELLING: Final = 2**20
"""Bytes: a process takes memory from the machine in large pieces, so that less says nothing."""


class Cost(NamedTuple):
    live: int
    bytes_each: float | None
    """None: of too few to tell."""
    microseconds: dict[str, float]


class TooLittleMemory(NamedTuple):
    live: int
    needed: int
    free: int


class Knowing:
    """A process that knows so many revocations."""

    def __init__(self, live: int) -> None:
        self.live: Final = live
        # spawned and not forked: its memory is its own
        self._process = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        self.bytes_each: Final[float | None] = self._process.submit(_learn, live).result()

    def measure(self) -> dict[str, float]:
        return self._process.submit(_measure).result()

    def close(self) -> None:
        self._process.shutdown()


def every_cost() -> list[Cost | TooLittleMemory]:
    """Of as many processes at once, of which one works at a time, in turns: so all meet the same machine."""
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
    _measure()  # what is made at the first call is made before memory is looked at
    before = _memory()
    for number in range(live):
        # as many sessions end in each minute; a name is 30 characters and no copy of another
        known.end_session(identifier("ses", SystemRandom()), NOW + number * MAX_LIFETIME // live)
    taken = _memory() - before
    gc.freeze()  # the collector would look through millions of objects in the middle of a measurement
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
        verifier.verify(tokens[0])  # the header is known in a service
        return fresh(tokens[1:])

    return batch_of(forget, verifier.verify)


def _cached(verifier: Verifier, tokens: list[str]) -> Batch:
    for token in tokens:
        verifier.verify(token)
    return batch_of(lambda: fresh(tokens * 10), verifier.verify)


def _memory() -> int:
    """Bytes of memory that this process has taken from the machine."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _free_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("the system does not say how much memory is free")
