"""Password hashing: argon2id in a bounded pool of threads, so that the event loop never waits for a hash.

Worst-case memory is ``hashing.threads * hashing.memory``. The threads hold no lock while they compute. When more
callers wait than the queue allows, further ones get `ostiary.errors.Busy` (503), so that a flood of sign-ins neither
exhausts the memory nor delays other routes.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Final, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from ostiary.core.entropy import Random
from ostiary.core.settings import Section, setting
from ostiary.errors import Busy

T = TypeVar("T")

_SALT_SIZE: Final = 16  # ASVS 5.0 §11.4.2: at least 128 bits
_HASH_SIZE: Final = 32
# Limits for the parameters of stored hashes, so that a planted or damaged row cannot make us allocate unlimited memory.
_MOST_MEMORY: Final = 1024 * 1024  # KiB
_MOST_PASSES: Final = 64
_MOST_LANES: Final = 16


@dataclass(frozen=True, kw_only=True)
class HashingSettings(Section):
    section: ClassVar[str] = "hashing"

    memory: int = setting(
        "KiB of memory for one password hash.",
        19 * 1024,
        least=19 * 1024,  # OWASP ASVS 5.0 appendix C: at least 19 MiB with two passes
        most=_MOST_MEMORY,
    )
    time: int = setting("Passes over the memory for one password hash.", 2, least=2, most=_MOST_PASSES)
    threads: int = setting(
        "How many password hashes are computed at the same time. 0: one per core.", 0, least=0, most=1024
    )
    queue: int = setting("How many password hashes may wait. Further callers get 503.", 64, least=1, most=100_000)


class Hashing:
    """Creates and checks password hashes in PHC format (``$argon2id$v=19$m=…``)."""

    def __init__(self, settings: HashingSettings, *, random: Random) -> None:
        threads = settings.threads or os.cpu_count() or 1
        self._places = threading.BoundedSemaphore(threads + settings.queue)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ostiary-hashing")
        self._random = random
        self._argon2 = argon2.PasswordHasher(
            time_cost=settings.time,
            memory_cost=settings.memory,
            parallelism=1,
            hash_len=_HASH_SIZE,
            salt_len=_SALT_SIZE,
        )
        # made with the current parameters, so that an unknown address costs the same as a known one (CVE-2024-39329)
        self._nobodys = self._argon2.hash(random.token(_HASH_SIZE))

    async def hash(self, password: str) -> str:
        """A new hash. Raises `Busy`."""
        salt = self._random.token(_SALT_SIZE)
        return await self.run(lambda: self._argon2.hash(password, salt=salt))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether ``stored`` is a hash of ``password``. Without a usable hash it does the same work and returns False.

        Raises `Busy`.
        """
        if stored is None or not _within_bounds(stored):
            return await self.run(lambda: self._verify(self._nobodys, password)) and False
        return await self.run(lambda: self._verify(stored, password))

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with parameters that differ from the current ones."""
        return self._argon2.check_needs_rehash(stored)

    async def run(self, work: Callable[[], T]) -> T:
        """Runs other slow work within the same limit, such as estimating the strength of a password. Raises `Busy`."""
        if not self._places.acquire(blocking=False):
            raise Busy("the password hashing queue is full", retry_after=1)
        future = self._pool.submit(work)
        # released by the thread, not by the caller: after a caller disconnects, its hash still uses memory
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
            # a damaged hash is detected immediately, so do the usual work to take the usual time
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
