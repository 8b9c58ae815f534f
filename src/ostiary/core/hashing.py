"""Password hashing: argon2id in a bounded pool of threads, so that the event loop never waits for a hash.

Worst-case memory is ``hashing_threads * argon2_memory``; the threads hold no lock while they compute. When more callers
wait than the queue allows, `ostiary.errors.Busy` (503) is the answer: a flood of sign-ins neither exhausts the memory
nor delays other routes.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from ostiary.core.entropy import Random
from ostiary.core.settings import Settings
from ostiary.errors import Busy

T = TypeVar("T")

_SALT_SIZE: Final = 16  # ASVS 5.0 §11.4.2: at least 128 bits
_HASH_SIZE: Final = 32
# What a stored hash may ask for. A planted or damaged row cannot make us allocate without bound.
_MOST_MEMORY: Final = 1024 * 1024  # KiB
_MOST_PASSES: Final = 64
_MOST_LANES: Final = 16


class Hashing:
    """Makes and checks password hashes in PHC form (``$argon2id$v=19$m=…``)."""

    def __init__(self, settings: Settings, *, random: Random) -> None:
        threads = settings.hashing_threads or os.cpu_count() or 1
        self._places = threading.BoundedSemaphore(threads + settings.hashing_queue)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ostiary-hashing")
        self._random = random
        self._argon2 = argon2.PasswordHasher(
            time_cost=settings.argon2_time,
            memory_cost=settings.argon2_memory,
            parallelism=1,
            hash_len=_HASH_SIZE,
            salt_len=_SALT_SIZE,
        )
        # made with the current parameters, so that an unknown address costs what a known one does (CVE-2024-39329)
        self._nobodys = self._argon2.hash(random.token(_HASH_SIZE))

    async def hash(self, password: str) -> str:
        """A new hash. Raises `Busy`."""
        salt = self._random.token(_SALT_SIZE)
        return await self.run(lambda: self._argon2.hash(password, salt=salt))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether ``password`` made ``stored``. Without a usable hash the same work is done, and the answer is False.

        Raises `Busy`.
        """
        if stored is None or not _within_bounds(stored):
            return await self.run(lambda: self._verify(self._nobodys, password)) and False
        return await self.run(lambda: self._verify(stored, password))

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than the current ones."""
        return self._argon2.check_needs_rehash(stored)

    async def run(self, work: Callable[[], T]) -> T:
        """Runs other slow work within the same bound: the estimate of a password's strength, say. Raises `Busy`."""
        if not self._places.acquire(blocking=False):
            raise Busy("the password hashing queue is full", retry_after=1)
        future = self._pool.submit(work)
        # given back by the thread, not by the caller: a caller who has gone leaves a hash that still costs memory
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._argon2.verify(stored, password)
        except VerifyMismatchError:
            return False
        except (VerificationError, InvalidHashError):
            # damaged, which took no time to find out: it costs what the others do
            return self._verify(self._nobodys, password) and False


def _within_bounds(stored: str) -> bool:
    if not stored.isascii():
        return False
    try:
        asked = argon2.extract_parameters(stored)
    except InvalidHashError:
        return False
    return (
        asked.type is argon2.Type.ID
        and asked.memory_cost <= _MOST_MEMORY
        and asked.time_cost <= _MOST_PASSES
        and asked.parallelism <= _MOST_LANES
    )
