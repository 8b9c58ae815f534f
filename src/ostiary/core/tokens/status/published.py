"""Status lists as other services fetch them: Status List Tokens (Token Status List §5.1).

The longest delay until a verifier sees a revocation is the sum of four parts: the lag of this process behind the feed
(usually milliseconds), the time between two checks (`PAUSE`), the time that caches on the way may keep a copy
(`MAX_AGE`), and the time that the verifier keeps its copy (`TTL`). A copy is signed again early enough that a verifier
which counts `TTL` from ``iat`` does not get an outdated one. Whatever caches do, no verifier uses a copy after ``exp``.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from ostiary.core.clock import MICROSECONDS, Clock, is_recent
from ostiary.core.plug import Keys
from ostiary.core.settings import Settings
from ostiary.core.tokens.status import queries
from ostiary.core.tokens.status.bits import StatusBits
from ostiary.core.tokens.status.claim import status_list_uri
from ostiary.jose import SigningKey, sign
from ostiary.store.database import Database
from ostiary.store.feed import Progress
from ostiary.verifier.status_list import (
    MAX_STATUS_LIST_TOKEN,
    STATUS_LIST_TYPE,
    EncodedStatusList,
    StatusListClaims,
    encode,
)

LIST_SIZE: Final = 2**20
"""Entries of one list. There are many, so that fetching a list does not reveal whose token the verifier has (herd
privacy)."""

TTL: Final = 60
"""Seconds after which a verifier fetches a fresh copy."""

MAX_AGE: Final = TTL // 2
"""Seconds for which caches may keep a copy."""

LIFETIME: Final = 300
"""Seconds from ``iat`` to ``exp``. A verifier that cannot fetch a fresh copy may use the old one for this long."""

PAUSE: Final = 1
"""Seconds for which a copy is served without another check. Frequent requests cause no extra computation."""

_RENEWED: Final = TTL // 4
"""Seconds after which a copy is signed again even if no bit has changed."""

_LEVEL: Final = 6
"""The zlib level. The specification recommends the highest (§4.1), which saves a fifth but takes at least five times as
long."""


@dataclass(frozen=True, slots=True)
class _Copy:
    """A signed list and its input. Times are in microseconds since the epoch."""

    text: str
    bits: bytes
    lst: str
    kid: str
    signed_at: int
    seen_at: int


class PublishedLists:
    """The `ostiary.core.plug.StatusLists` of an installation. Lists are computed on request."""

    def __init__(
        self,
        database: Database,
        feed: Progress,
        *,
        keys: Keys,
        settings: Settings,
        clock: Clock,
        size: int = LIST_SIZE,
    ) -> None:
        self._bits = StatusBits(database, feed, clock=clock, size=size)
        self._database = database
        self._keys = keys
        self._settings = settings
        self._clock = clock
        self._copies: dict[int, _Copy] = {}
        self._making: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def size(self) -> int:
        return self._bits.size

    async def signed(self, number: int) -> str | None:
        if not await self._is_there(number):
            return None
        copy = self._current(number)
        if copy is None:
            await self._bits.refresh()
            async with self._making[number]:  # of many concurrent requests, one computes
                copy = self._current(number) or await self._renewed(number)
                self._copies[number] = copy
        return copy.text

    async def _is_there(self, number: int) -> bool:
        """Whether the list exists. Unused lists are removed. The database is queried only when the copy must be signed
        again."""
        copy = self._copies.get(number)
        if copy is not None and self._is_within(_RENEWED, copy.signed_at):
            return True
        if await queries.is_there(self._database, number):
            return True
        self._copies.pop(number, None)
        return False

    def _current(self, number: int) -> _Copy | None:
        copy = self._copies.get(number)
        is_current = copy and copy.kid == self._keys.current.kid and self._is_within(PAUSE, copy.seen_at)
        return copy if is_current else None

    async def _renewed(self, number: int) -> _Copy:
        copy, bits = self._copies.get(number), self._bits.of(number)
        now, key = self._clock.now(), self._keys.current
        if copy is None or copy.bits != bits:
            return await asyncio.to_thread(self._make, number, bits, None, key, now)
        if copy.kid != key.kid or not self._is_within(_RENEWED, copy.signed_at):
            return await asyncio.to_thread(self._make, number, bits, copy.lst, key, now)
        return replace(copy, seen_at=now)

    def _make(self, number: int, bits: bytes, lst: str | None, key: SigningKey, now: int) -> _Copy:
        lst = lst or encode(bits, level=_LEVEL)
        claims = StatusListClaims(
            sub=status_list_uri(self._settings, number),
            iss=self._settings.issuer,
            iat=now // MICROSECONDS,
            exp=now // MICROSECONDS + LIFETIME,
            ttl=TTL,
            status_list=EncodedStatusList(bits=1, lst=lst),
        )
        text = sign(msgspec.json.encode(claims), key, typ=STATUS_LIST_TYPE, longest=MAX_STATUS_LIST_TOKEN)
        return _Copy(text, bits, lst, key.kid, signed_at=now, seen_at=now)

    def _is_within(self, seconds: int, moment: int) -> bool:
        return is_recent(moment, now=self._clock.now(), within=seconds * MICROSECONDS)
