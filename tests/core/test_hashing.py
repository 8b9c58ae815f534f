"""Password hashes: what is accepted, what a damaged or hostile row can do, and how many run concurrently."""

import asyncio
import threading
import time
from contextlib import contextmanager

import argon2
import pytest

from ostiary.core.entropy import SystemRandom
from ostiary.core.hashing import Hashing
from ostiary.errors import Busy
from ostiary.settings import HashingSettings

pytestmark = pytest.mark.usefixtures("real_hashing")

PASSWORD = "seven purple umbrellas sing"
_OURS = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
STORED = _OURS.hash(PASSWORD)
SALT, HASH = STORED.split("$")[4:]


@contextmanager
def hashing(settings=HashingSettings()):
    made = Hashing(settings, random=SystemRandom())
    try:
        yield made
    finally:
        made.close()


class Computed:
    """Counts the hashes that argon2 computes, with their cost."""

    def __init__(self, monkeypatch):
        self.costs = []
        verify = argon2.PasswordHasher.verify

        def counted(hasher, stored, password):
            parameters = argon2.extract_parameters(stored)
            matches = None
            try:
                matches = verify(hasher, stored, password)
            except argon2.exceptions.VerifyMismatchError:
                matches = False
                raise
            finally:
                if matches is not None:  # otherwise it was refused before anything was computed
                    self.costs.append((parameters.memory_cost, parameters.time_cost, parameters.parallelism))
            return matches

        monkeypatch.setattr(argon2.PasswordHasher, "verify", counted)


async def test_only_the_correct_password_is_accepted():
    with hashing() as ours:
        stored = await ours.hash(PASSWORD)
        assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert await ours.verify(stored, PASSWORD) is True
        assert await ours.verify(stored, PASSWORD + " ") is False
        assert await ours.verify(stored, "") is False


async def test_every_hash_has_a_new_salt():
    with hashing() as ours:
        assert await ours.hash(PASSWORD) != await ours.hash(PASSWORD)


async def test_a_password_is_never_truncated():
    """L10, CVE-2025-22228: passwords that differ only after 72 bytes are different, and NUL does not end a password."""
    with hashing() as ours:
        stored = await ours.hash("é" * 100 + "a")
        assert await ours.verify(stored, "é" * 100 + "a")
        assert not await ours.verify(stored, "é" * 100 + "b")
        stored = await ours.hash("a\0b")
        assert not await ours.verify(stored, "a\0c")


@pytest.mark.parametrize("stored", [None, "", "!", "$2b$12$" + "a" * 53, STORED.replace("argon2id", "argon2i")])
async def test_without_a_usable_hash_the_same_work_is_done(stored, monkeypatch):
    """E2, CVE-2024-39329."""
    with hashing() as ours:
        computed = Computed(monkeypatch)
        assert await ours.verify(stored, PASSWORD) is False
        assert computed.costs == [(19 * 1024, 2, 1)]


HOSTILE = {
    "2 TiB of memory": f"$argon2id$v=19$m=2147483648,t=2,p=1${SALT}${HASH}",
    "4 TiB of memory": f"$argon2id$v=19$m=4294967296,t=2,p=1${SALT}${HASH}",
    "more than memory": f"$argon2id$v=19$m={10**30},t=2,p=1${SALT}${HASH}",
    "no memory": f"$argon2id$v=19$m=0,t=2,p=1${SALT}${HASH}",
    "negative memory": f"$argon2id$v=19$m=-1,t=2,p=1${SALT}${HASH}",
    "a billion passes": f"$argon2id$v=19$m=19456,t=1000000000,p=1${SALT}${HASH}",
    "no passes": f"$argon2id$v=19$m=19456,t=0,p=1${SALT}${HASH}",
    "a million lanes": f"$argon2id$v=19$m=19456,t=2,p=1000000${SALT}${HASH}",
    "no lanes": f"$argon2id$v=19$m=19456,t=2,p=0${SALT}${HASH}",
    "letters for a number": f"$argon2id$v=19$m=abc,t=2,p=1${SALT}${HASH}",
    "another script's digits": f"$argon2id$v=19$m=١٩٤٥٦,t=2,p=1${SALT}${HASH}",
    "an underscore in a number": f"$argon2id$v=19$m=19_456,t=2,p=1${SALT}${HASH}",
    "a parameter missing": f"$argon2id$v=19$m=19456,t=2${SALT}${HASH}",
    "in another order": f"$argon2id$v=19$t=2,m=19456,p=1${SALT}${HASH}",
    "an unknown version": f"$argon2id$v=99$m=19456,t=2,p=1${SALT}${HASH}",
    "a salt that is none": f"$argon2id$v=19$m=19456,t=2,p=1$!!!${HASH}",
    "no salt, no hash": "$argon2id$v=19$m=19456,t=2,p=1$$",
    "a hash that is not ASCII": f"$argon2id$v=19$m=19456,t=2,p=1${SALT}$é",
    "a hash cut off": STORED[:-5],
    "a hash too long": STORED + "A" * 100_000,
    "the beginning only": "$argon2id$",
}


@pytest.mark.parametrize("stored", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_or_damaged_hash_fails_and_costs_the_same_as_a_wrong_password(stored, monkeypatch):
    """D7: it neither crashes nor allocates without limit, and its timing does not reveal it."""
    with hashing() as ours:
        computed = Computed(monkeypatch)
        assert await ours.verify(stored, PASSWORD) is False
        assert computed.costs == [(19 * 1024, 2, 1)]


async def test_a_hash_with_outdated_parameters_is_detected():
    """D5."""
    with hashing(HashingSettings(time=3)) as ours:
        assert ours.is_outdated(STORED)
        assert not ours.is_outdated(await ours.hash(PASSWORD))
        assert await ours.verify(STORED, PASSWORD)


async def test_callers_beyond_threads_and_queue_get_busy_at_once():
    """D8, L09: a flood of sign-ins neither queues without limit nor uses memory for each request."""
    gate = threading.Event()
    with hashing(HashingSettings(threads=1, queue=2)) as ours:
        held = [asyncio.ensure_future(ours.run(gate.wait)) for _ in range(3)]
        one_more = asyncio.ensure_future(ours.verify(STORED, PASSWORD))
        await asyncio.sleep(0)  # one turn of the loop: a caller that has to wait is not done after it
        assert one_more.done()
        with pytest.raises(Busy):
            await one_more
        gate.set()
        await asyncio.gather(*held)
        assert await ours.verify(STORED, PASSWORD)  # every place was released


async def test_a_disconnected_caller_frees_no_place_before_its_thread_ends():
    """Otherwise clients that disconnect after sending could cause more concurrent hashes than memory allows."""
    gate = threading.Event()
    with hashing(HashingSettings(threads=1, queue=1)) as ours:
        running = asyncio.ensure_future(ours.run(gate.wait))
        waiting = asyncio.ensure_future(ours.run(gate.wait))
        await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        with pytest.raises(Busy):
            await ours.run(bool)
        gate.set()
        await waiting
        async with asyncio.timeout(5):
            while True:
                try:
                    assert await ours.run(bool) is False
                    break
                except Busy:
                    await asyncio.sleep(0.01)


async def test_no_more_hashes_are_computed_concurrently_than_there_are_threads():
    at_once, most, lock = 0, 0, threading.Lock()

    def work():
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.01)
        with lock:
            at_once -= 1

    with hashing(HashingSettings(threads=2, queue=64)) as ours:
        await asyncio.gather(*(ours.run(work) for _ in range(12)))
    assert most == 2


async def test_the_event_loop_keeps_running_while_hashes_are_computed():
    """On the loop, or with the interpreter lock held, the loop would only turn once or twice during a hash."""
    turns = 0
    with hashing(HashingSettings(time=20)) as ours:
        task = asyncio.ensure_future(ours.hash(PASSWORD))
        while not task.done():
            await asyncio.sleep(0.001)
            turns += 1
        await task
    assert turns > 10
