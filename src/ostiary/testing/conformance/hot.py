"""Counters and reservations: never more than the rate allows, and never two first callers."""

import asyncio
from typing import Final

from ostiary.store.hot import MICROSECONDS, Rate
from ostiary.testing.conformance.opening import HotCheck, OpenHot, raising

NOW: Final = 1_800_000_000 * MICROSECONDS
MINUTE: Final = 60 * MICROSECONDS
FIVE_A_MINUTE: Final = Rate(5, 60)
INTERVAL: Final = 12 * MICROSECONDS

RACERS: Final = 50


async def concurrent_callers_take_what_the_rate_allows(opened: OpenHot) -> None:
    """Of 50 concurrent callers in two processes, exactly as many succeed as the rate allows."""
    async with opened() as here, opened() as there:
        lanes = (here, there) * (RACERS // 2)
        waits = await asyncio.gather(*(lane.take("raced", FIVE_A_MINUTE, now=NOW) for lane in lanes))
        assert waits.count(0) == 5
        assert {wait for wait in waits if wait} == {INTERVAL}


async def a_counter_refills_one_by_one(opened: OpenHot) -> None:
    """The result gives the microsecond of the next possible take. Ten minutes later the counter is full again."""
    async with opened() as hot:
        assert [await hot.take("key", FIVE_A_MINUTE, now=NOW) for _ in range(6)] == [0, 0, 0, 0, 0, INTERVAL]
        assert await hot.take("key", FIVE_A_MINUTE, now=NOW + INTERVAL - 1) == 1
        assert await hot.take("key", FIVE_A_MINUTE, now=NOW + INTERVAL) == 0
        assert await hot.take("key", FIVE_A_MINUTE, now=NOW + INTERVAL) == INTERVAL
        later = NOW + 10 * MINUTE
        assert [await hot.take("key", FIVE_A_MINUTE, now=later) for _ in range(6)] == [0, 0, 0, 0, 0, INTERVAL]


async def a_rate_is_never_exceeded_by_rounding(opened: OpenHot) -> None:
    """Three in ten seconds do not divide evenly. After the first burst, ten seconds never allow four."""
    async with opened() as hot:
        rate = Rate(3, 10)
        assert rate.interval == 3_333_334
        assert [await hot.take("key", rate, now=NOW) for _ in range(4)] == [0, 0, 0, rate.interval]
        assert await hot.take("key", rate, now=NOW + 3_333_333) == 1


async def a_take_that_is_given_back_is_available_again(opened: OpenHot) -> None:
    """One take is put back, not all of them, and the counter never gets more than full."""
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


async def a_counter_of_a_clock_that_was_ahead_does_not_refuse_everybody(opened: OpenHot) -> None:
    """After the clock was set back, the counter would otherwise stay full until the clock gets there again."""
    async with opened() as hot:
        for _ in range(6):
            await hot.take("key", FIVE_A_MINUTE, now=NOW + 60 * MINUTE)
        assert [await hot.take("key", FIVE_A_MINUTE, now=NOW) for _ in range(6)] == [0, 0, 0, 0, 0, INTERVAL]


async def keys_are_independent(opened: OpenHot) -> None:
    """This holds for similar, long and unusual keys, and for a counter and a reservation with the same name."""
    keys = ("a", "A", "a ", "", "ä", "a\n", "x" * 10_000, "x" * 10_001, "a:b", "a\0b", "{a}", "*")
    async with opened() as hot:
        for key in keys:
            assert await hot.take(key, Rate(1, 60), now=NOW) == 0
            assert await hot.reserve(key, until=NOW + MINUTE, now=NOW)
        for key in keys:
            assert await hot.take(key, Rate(1, 60), now=NOW) == MINUTE
            assert not await hot.reserve(key, until=NOW + MINUTE, now=NOW)


async def only_one_concurrent_caller_reserves_a_key(opened: OpenHot) -> None:
    """Of 50 concurrent callers in two processes, exactly one reserves the key."""
    async with opened() as here, opened() as there:
        lanes = (here, there) * (RACERS // 2)
        firsts = await asyncio.gather(*(lane.reserve("proof", until=NOW + MINUTE, now=NOW) for lane in lanes))
        assert firsts.count(True) == 1


async def a_reservation_expires(opened: OpenHot) -> None:
    """It blocks every caller until its time, to the microsecond. Then the key is free again."""
    async with opened() as hot:
        assert await hot.reserve("proof", until=NOW + MINUTE, now=NOW)
        assert not await hot.reserve("proof", until=NOW + 2 * MINUTE, now=NOW + MINUTE - 1)
        assert await hot.reserve("proof", until=NOW + 2 * MINUTE, now=NOW + MINUTE)
        assert not await hot.reserve("proof", until=NOW + 3 * MINUTE, now=NOW + 2 * MINUTE - 1)


async def sweeping_removes_only_expired_state(opened: OpenHot) -> None:
    """What still limits or reserves at that time stays."""
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


async def a_rate_must_be_positive(opened: OpenHot) -> None:
    """A rate with no count or no time is an error, not a limit."""
    async with opened() as hot:
        for count, seconds in ((0, 60), (5, 0), (-1, 60)):
            with raising(ValueError):
                await hot.take("key", Rate(count, seconds), now=NOW)


HOT_CHECKS: Final[tuple[HotCheck, ...]] = (
    concurrent_callers_take_what_the_rate_allows,
    a_counter_refills_one_by_one,
    a_rate_is_never_exceeded_by_rounding,
    a_take_that_is_given_back_is_available_again,
    a_counter_of_a_clock_that_was_ahead_does_not_refuse_everybody,
    keys_are_independent,
    only_one_concurrent_caller_reserves_a_key,
    a_reservation_expires,
    sweeping_removes_only_expired_state,
    a_rate_must_be_positive,
)
