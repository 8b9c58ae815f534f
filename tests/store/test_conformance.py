"""Runs the public conformance suites on every backend of the package."""

import inspect
from contextlib import asynccontextmanager
from functools import partial

import pytest

from ostiary.store.migrations import migrate
from ostiary.store.open import database_from_url, hot_from_url
from ostiary.store.sql_hot import SqlHot
from ostiary.testing.conformance import (
    DATABASE_CHECKS,
    HOT_CHECKS,
    bodies,
    feed,
    hot,
    marks,
    migrations,
    name_of,
    racing,
    rows,
)


@asynccontextmanager
async def opened(url):
    database = database_from_url(url)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def opened_sql_hot(url):
    async with opened(url) as database:
        await migrate(database, [])
        yield SqlHot(database)


@asynccontextmanager
async def opened_valkey_hot(url):
    counters = hot_from_url(url)
    await counters.open()
    try:
        yield counters
    finally:
        await counters.close()


@pytest.mark.parametrize("check", DATABASE_CHECKS, ids=name_of)
async def test_database(check, database_url):
    await check(partial(opened, database_url))


@pytest.mark.parametrize("check", HOT_CHECKS, ids=name_of)
async def test_counters_in_the_database(check, database_url):
    await check(partial(opened_sql_hot, database_url))


@pytest.mark.parametrize("check", HOT_CHECKS, ids=name_of)
async def test_counters_in_valkey(check, valkey_url):
    async with opened_valkey_hot(valkey_url) as settled:
        # an empty server may have lost its state, so the first call starts its quarantine, here far in the past
        with pytest.raises(Exception, match="lost its state"):
            await settled.reserve("first", until=1, now=0)
    await check(partial(opened_valkey_hot, valkey_url))


@pytest.mark.parametrize("module", [bodies, feed, hot, marks, migrations, racing, rows], ids=name_of)
def test_every_check_is_listed(module):
    """A check that is written but not listed would never run."""
    written = {
        function
        for name, function in inspect.getmembers(module, inspect.iscoroutinefunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert written <= {*DATABASE_CHECKS, *HOT_CHECKS}
    assert written
