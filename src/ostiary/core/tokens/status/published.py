"""Status lists as others fetch them: Status List Tokens (Token Status List §5.1).

How late a verifier may hear of a revocation is the sum of what this process lags behind the feed (milliseconds, as a
rule), of the time between two looks (`PAUSE`), of what caches on the way may keep (`MAX_AGE`), and of `TTL`, for which
the verifier keeps its copy. A copy is signed anew so early that a verifier which counts `TTL` from ``iat`` does not get
one that is used up. Whatever caches do, nobody goes by a copy after ``exp``.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from ostiary.core.clock import MICROSECONDS, Clock
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
"""Entries of one list: many, so that who fetches it does not tell whose token it holds (herd privacy)."""

TTL: Final = 60
"""Seconds after which a verifier fetches a fresh copy."""

MAX_AGE: Final = TTL // 2
"""Seconds for which caches may keep a copy."""

LIFETIME: Final = 300
"""Seconds from ``iat`` to ``exp``: for so long a verifier may do without a fresh copy."""

PAUSE: Final = 1
"""Seconds for which a copy is the answer without another look: who asks again and again has nothing computed."""

_RENEWED: Final = TTL // 4
"""Seconds after which a copy is signed anew though no bit has changed."""

_LEVEL: Final = 6
"""Of zlib. The specification recommends the highest (§4.1): it saves a fifth and takes five times as long, or more."""


@dataclass(frozen=True, slots=True)
class _Copy:
    """A signed list, and what it was made of. Times are in microseconds since the epoch."""

    text: str
    bits: bytes
    lst: str
    kid: str
    signed_at: int
    seen_at: int


class PublishedLists:
    """The `ostiary.core.plug.StatusLists` of an installation. Nothing is computed before somebody asks."""

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
            async with self._making[number]:  # many ask at once, one computes
                copy = self._current(number) or await self._renewed(number)
                self._copies[number] = copy
        return copy.text

    async def _is_there(self, number: int) -> bool:
        """A list that nobody needs any more is removed; asked for is that when its copy is signed anew."""
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
        return 0 <= self._clock.now() - moment < seconds * MICROSECONDS  # a clock that was set back renews
