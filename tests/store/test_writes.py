"""Readiness after a failed write: one probe answers everybody who asks, and no old failure counts."""

import asyncio

import pytest

from ostiary.errors import StoreUnavailable
from ostiary.store import writes
from ostiary.store.writes import WriteHealth


class Writes:
    """Transactions that wait until the test lets them end."""

    def __init__(self):
        self.begun = 0
        self.may_end = asyncio.Event()
        self.failure = None

    async def run(self, _body):
        self.begun += 1
        await self.may_end.wait()
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def health():
    made = WriteHealth()
    made.failed(StoreUnavailable("the disk was full"))
    return made


async def asking(health, work, count):
    asked = [asyncio.create_task(health.check(work.run)) for _ in range(count)]
    while work.begun == 0:  # noqa: ASYNC110 — tasks of this loop change it
        await asyncio.sleep(0)
    return asked


async def test_two_load_balancers_that_ask_at_once_get_the_result_of_one_probe(health):
    work = Writes()
    asked = await asking(health, work, 2)
    work.may_end.set()
    assert await asyncio.gather(*asked) == [None, None]
    assert work.begun == 1


async def test_a_probe_that_fails_answers_all_who_wait_for_it(health):
    work = Writes()
    work.failure = StoreUnavailable("the disk is full")
    asked = await asking(health, work, 2)
    work.may_end.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(answer) for answer in answers] == [str(StoreUnavailable("the disk is full"))] * 2
    assert work.begun == 1


async def test_a_caller_that_hangs_up_does_not_end_the_probe_of_the_others(health):
    work = Writes()
    first, second = await asking(health, work, 2)
    first.cancel()
    await asyncio.wait([first])
    work.may_end.set()
    await second
    assert work.begun == 1


async def test_a_failure_right_after_a_probe_that_worked_is_probed_later(health, monkeypatch):
    """One failed transaction does not mean that writes fail, and a probe a moment ago worked."""
    work = Writes()
    work.may_end.set()
    await health.check(work.run)
    health.failed(StoreUnavailable("a moment later"))
    await health.check(work.run)
    assert work.begun == 1
    monkeypatch.setattr(writes, "PROBE_SECONDS", 0)
    work.failure = StoreUnavailable("still")
    with pytest.raises(StoreUnavailable, match="still"):
        await health.check(work.run)
    assert work.begun == 2
