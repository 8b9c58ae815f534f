"""Counters and reservations: never more than the rate allows, never two who were first."""

import asyncio
from typing import Final

from ostiary.store.hot import MICROSECONDS, Rate
from ostiary.testing.conformance.opening import HotCheck, OpenHot, raising

NOW: Final = 1_800_000_000 * MICROSECONDS
MINUTE: Final = 60 * MICROSECONDS
FIVE_A_MINUTE: Final = Rate(5, 60)
INTERVAL: Final = 12 * MICROSECONDS

RACERS: Final = 50


async def racers_take_what_the_rate_allows(opened: OpenHot) -> None:
    """Of 50 who take at once, in two processes, exactly as many get one as the rate has."""
    async with opened() as here, opened() as there:
        lanes = (here, there) * (RACERS // 2)
        waits = await asyncio.gather(*(lane.take("raced", FIVE_A_MINUTE, now=NOW) for lane in lanes))
        assert waits.count(0) == 5
        assert {wait for wait in waits if wait} == {INTERVAL}


async def what_was_taken_comes_back_one_by_one(opened: OpenHot) -> None:
    """The answer says to the microsecond when the next one can be taken; a minute later all are there."""
    async with opened() as hot:
        assert [await hot.take("key", FIVE_A_MINUTE, now=NOW) for _ in range(6)] == [0, 0, 0, 0, 0, INTERVAL]
        assert await hot.take("key", FIVE_A_MINUTE, now=NOW + INTERVAL - 1) == 1
        assert await hot.take("key", FIVE_A_MINUTE, now=NOW + INTERVAL) == 0
        assert await hot.take("key", FIVE_A_MINUTE, now=NOW + INTERVAL) == INTERVAL
        later = NOW + 10 * MINUTE
        assert [await hot.take("key", FIVE_A_MINUTE, now=later) for _ in range(6)] == [0, 0, 0, 0, 0, INTERVAL]


async def a_rate_is_never_exceeded_by_rounding(opened: OpenHot) -> None:
    """Three in ten seconds do not divide evenly: in no ten seconds are there four after the first burst."""
    async with opened() as hot:
        rate = Rate(3, 10)
        assert rate.interval == 3_333_334
        assert [await hot.take("key", rate, now=NOW) for _ in range(4)] == [0, 0, 0, rate.interval]
        assert await hot.take("key", rate, now=NOW + 3_333_333) == 1


async def what_is_given_back_can_be_taken_again(opened: OpenHot) -> None:
    """One is put back, not all; and never more than there can be."""
    async with opened() as hot:
        for _ in range(5):
            assert await hot.take("key", FIVE_A_MINUTE, now=NOW) == 0
        await hot.give_back("key", FIVE_A_MINUTE, now=NOW)
        assert [await hot.take("key", FIVE_A_MINUTE, now=NOW) for _ in range(2)] == [0, INTERVAL]
        for _ in range(20):
            await hot.give_back("key", FIVE_A_MINUTE, now=NOW)
        await hot.give_back("never taken", FIVE_A_MINUTE, now=NOW)
        for key in ("key", "never taken"):
            assert [await hot.take(key, FIVE_A_MINUTE, now=NOW) for _ in range(6)] == [0, 0, 0, 0, 0, INTERVAL]


async def keys_do_not_touch_each_other(opened: OpenHot) -> None:
    """Neither similar ones nor long or strange ones, nor counters and reservations of one name."""
    keys = ("a", "A", "a ", "", "ä", "a\n", "x" * 10_000, "x" * 10_001, "a:b", "a\0b", "{a}", "*")
    async with opened() as hot:
        for key in keys:
            assert await hot.take(key, Rate(1, 60), now=NOW) == 0
            assert await hot.reserve(key, until=NOW + MINUTE, now=NOW)
        for key in keys:
            assert await hot.take(key, Rate(1, 60), now=NOW) == MINUTE
            assert not await hot.reserve(key, until=NOW + MINUTE, now=NOW)


async def one_racer_reserves(opened: OpenHot) -> None:
    """Of 50 who reserve a key at once, in two processes, one is the first."""
    async with opened() as here, opened() as there:
        lanes = (here, there) * (RACERS // 2)
        firsts = await asyncio.gather(*(lane.reserve("proof", until=NOW + MINUTE, now=NOW) for lane in lanes))
        assert firsts.count(True) == 1


async def a_reservation_ends(opened: OpenHot) -> None:
    """Until its time it holds against everybody, to the microsecond; from then on the key is free."""
    async with opened() as hot:
        assert await hot.reserve("proof", until=NOW + MINUTE, now=NOW)
        assert not await hot.reserve("proof", until=NOW + 2 * MINUTE, now=NOW + MINUTE - 1)
        assert await hot.reserve("proof", until=NOW + 2 * MINUTE, now=NOW + MINUTE)
        assert not await hot.reserve("proof", until=NOW + 3 * MINUTE, now=NOW + 2 * MINUTE - 1)


async def sweeping_forgets_nothing_that_counts(opened: OpenHot) -> None:
    """What still limits or reserves at that time survives it."""
    async with opened() as hot:
        for _ in range(2):
            await hot.take("over", Rate(1, 1), now=NOW)
            await hot.take("counts", Rate(1, 60), now=NOW)
        await hot.reserve("over", until=NOW + MICROSECONDS, now=NOW)
        await hot.reserve("counts", until=NOW + MINUTE, now=NOW)
        later = NOW + MICROSECONDS
        await hot.sweep(later)
        assert await hot.take("over", Rate(1, 1), now=later) == 0
        assert await hot.take("counts", Rate(1, 60), now=later) == MINUTE - MICROSECONDS
        assert await hot.reserve("over", until=later + MINUTE, now=later)
        assert not await hot.reserve("counts", until=later + MINUTE, now=later)


async def a_rate_is_at_least_one(opened: OpenHot) -> None:
    """A rate of nothing, or of no time, is a mistake and not a limit."""
    async with opened() as hot:
        for count, seconds in ((0, 60), (5, 0), (-1, 60)):
            with raising(ValueError):
                await hot.take("key", Rate(count, seconds), now=NOW)


HOT_CHECKS: Final[tuple[HotCheck, ...]] = (
    racers_take_what_the_rate_allows,
    what_was_taken_comes_back_one_by_one,
    a_rate_is_never_exceeded_by_rounding,
    what_is_given_back_can_be_taken_again,
    keys_do_not_touch_each_other,
    one_racer_reserves,
    a_reservation_ends,
    sweeping_forgets_nothing_that_counts,
    a_rate_is_at_least_one,
)
