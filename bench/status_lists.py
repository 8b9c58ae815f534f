"""Measures the cost of status lists: bytes for the client that fetches them, milliseconds for the server.

    scripts/bench status_lists [--built 1000000]

Lists have 2**20 entries at random places, and each list is half full, as in a real installation. "a list" is the size
of one list. "all" is what a verifier fetches if it sees tokens of every list. "built" is the time that a process needs
for the first request, from an SQLite database with that number of slots and that share of them in the change feed.
"""

import argparse
import asyncio
import random  # noqa: TID251 — random places for a measurement
import tempfile
import time
from typing import Final, NamedTuple

import msgspec

from ostiary import Ostiary
from ostiary.core.tokens.status.bits import StatusBits
from ostiary.core.tokens.status.published import LIST_SIZE
from ostiary.jose import SigningKey, sign
from ostiary.store.database import Database
from ostiary.store.feed import Progress
from ostiary.store.open import database_from_url
from ostiary.verifier.status_list import (
    MAX_STATUS_LIST_TOKEN,
    STATUS_LIST_TYPE,
    EncodedStatusList,
    StatusList,
    StatusListClaims,
    encode,
)

TOKENS: Final = (1_000_000, 10_000_000)
SHARES: Final = (0.001, 0.01, 0.1)
FULL: Final = 0.5
"""The used share of a list at which the next list is opened."""

LEVELS: Final = (6, 9)
"""zlib levels: the one that Ostiary uses, and the highest."""

_LATER: Final = 10**18  # microseconds since the epoch
_IN_A_LIST: Final = int(LIST_SIZE * FULL)
_SCATTERING: Final = 610_839  # odd: multiplying by it scatters consecutive numbers over a list

_SLOTS: Final = f"""
insert into status_slots (list, idx, session_id, account_id, ver, until)
with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < $1)
select 1 + i / {_IN_A_LIST}, i * {_SCATTERING} % {LIST_SIZE}, 'ses_' || i, 'acc_' || i, 1, {_LATER} from n
"""
_ENDED: Final = f"""
insert into feed (seq, kind, key, value, until)
with recursive n(i) as (select $1 union all select i + 1 from n where i + 1 < $2)
select i + 1, 'session', 'ses_' || (i * {_SCATTERING} % $3), 0, {_LATER} from n
"""


class Clock:
    def now(self) -> int:
        return 0


class Encoded(NamedTuple):
    token: str
    lst: str
    milliseconds: float


def random_bits(count: int) -> bytes:
    bits = bytearray(LIST_SIZE // 8)
    for index in random.sample(range(LIST_SIZE), count):
        bits[index >> 3] |= 1 << (index & 7)
    return bytes(bits)


def encoded(bits: bytes, key: SigningKey, *, level: int) -> Encoded:
    """Compresses and signs a list as the server does."""
    started = time.perf_counter()
    lst = encode(bits, level=level)
    claims = StatusListClaims(
        sub="https://auth.example.com/auth/status/1",
        iss="https://auth.example.com",
        iat=0,
        exp=300,
        ttl=60,
        status_list=EncodedStatusList(bits=1, lst=lst),
    )
    token = sign(msgspec.json.encode(claims), key, typ=STATUS_LIST_TYPE, longest=MAX_STATUS_LIST_TOKEN)
    return Encoded(token, lst, (time.perf_counter() - started) * 1000)


def print_sizes() -> None:
    key = SigningKey.generate("ES256")
    print(f"{'tokens':>12} {'revoked':>8} {'lists':>6} {'a list':>10} {'all':>12} {'encoded':>10}", end="")
    print(f" {'with level 9':>20} {'read':>9}")
    for tokens in TOKENS:
        for share in SHARES:
            lists = -(-tokens // _IN_A_LIST)
            bits = random_bits(int(tokens * share / lists))
            ours, smallest = (encoded(bits, key, level=level) for level in LEVELS)
            started = time.perf_counter()
            StatusList.decode(ours.lst)
            read = (time.perf_counter() - started) * 1000
            of_all = len(ours.token) * lists
            print(f"{tokens:>12,} {share:>8.1%} {lists:>6} {len(ours.token):>9,}B {of_all:>11,}B", end="")
            print(f" {ours.milliseconds:>7.1f} ms {len(smallest.token):>8,}B", end="")
            print(f" {smallest.milliseconds:>8.1f} ms {read:>6.1f} ms")


async def print_building(slots: int) -> None:
    print(f"\n{'slots':>12} {'revoked':>8} {'built':>10}")
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/bench.db"
        await Ostiary(url, environ={}).migrate()
        database = database_from_url(url)
        await database.open()
        try:
            await database.execute(_SLOTS, slots)
            for before, share in zip((0.0, *SHARES), SHARES, strict=False):
                await _end_sessions(database, int(slots * before), int(slots * share), of=slots)
                print(f"{slots:>12,} {share:>8.1%} {await _build(database) * 1000:>7,.0f} ms")
        finally:
            await database.close()


async def _end_sessions(database: Database, first: int, last: int, *, of: int) -> None:
    await database.execute("delete from feed where seq > $1", first)  # entries that opening the database wrote
    await database.execute(_ENDED, first, last, of)
    await database.execute("update feed_head set seq = $1", last)


async def _build(database: Database) -> float:
    bits = StatusBits(database, Progress(), clock=Clock(), size=LIST_SIZE)
    started = time.perf_counter()
    await bits.refresh()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--built", type=int, default=1_000_000)
    arguments = parser.parse_args()
    print_sizes()
    asyncio.run(print_building(arguments.built))


if __name__ == "__main__":
    main()
