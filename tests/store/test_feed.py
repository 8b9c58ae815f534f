"""The change feed's follower, without an engine."""

import asyncio

from ostiary.store.feed import Follower
from tests.logged import written


class Broken:
    """A database whose driver quotes parameters in its errors."""

    def __init__(self):
        self.asked = asyncio.Event()

    async def few(self, _sql, *_args):
        raise AssertionError("nothing was read before")

    async def all(self, _sql, *_args):
        self.asked.set()
        raise ValueError("invalid input for query argument $1: 'hunter2'")


async def test_a_failed_read_is_logged_with_its_place_and_without_its_message(caplog):
    database = Broken()
    follower = Follower(database, list)
    run = asyncio.create_task(follower.run())
    await database.asked.wait()
    await asyncio.sleep(0)
    await follower.end(run)
    assert "builtins.ValueError" in written(caplog)
    assert "test_feed.py" in written(caplog)
    assert "hunter2" not in written(caplog)
