"""Several processes on one file: no data is lost, no process starves, and no event loop stalls."""

import asyncio
import json
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from ostiary.store.sqlite import session
from ostiary.store.sqlite.database import SqliteDatabase

CHILD = Path(__file__).with_name("child.py")

LONGEST_STALL = 0.25
"""Seconds. Commits on the event loop stalled it for more than a second. A busy machine alone causes some hundredths."""


@asynccontextmanager
async def opened(path):
    database = SqliteDatabase(path)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def start(*arguments):
    return subprocess.Popen([sys.executable, CHILD, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("callers", "times"), [(1, 150), (32, 40)])
async def test_two_processes_lose_no_increment(tmp_path, callers, times):
    """Both processes make each increment once, and their event loops stay responsive."""
    path = tmp_path / "a.db"
    async with opened(path) as database:
        await database.execute("create table counted (id bigint primary key, n bigint not null)")
        await database.execute("create table taken (n bigint primary key)")
        await database.execute("insert into counted (id, n) values (1, 0)")
        children = [start("increment", path, callers, times) for _ in range(2)]
        reports = [json.loads((await asyncio.to_thread(child.communicate))[0]) for child in children]
        done = sum(report["done"] for report in reports)
        assert done == 2 * callers * times
        assert await database.one("select n from counted") == (done,)
        assert await database.one("select count(*) from taken") == (done,)
    assert max(report["stall"] for report in reports) < LONGEST_STALL


async def test_a_busy_process_does_not_starve_another(tmp_path):
    """While one process commits without a pause, transactions of another process get their turn."""
    path = tmp_path / "a.db"
    async with opened(path) as database:
        await database.execute("create table kept (id bigint primary key)")
        await database.execute("create table counted (id bigint primary key, n bigint not null)")
        await database.execute("insert into counted (id, n) values (1, 0)")
        child = start("insert", path, 64)
        try:
            await asyncio.to_thread(child.stdout.readline)
            longest = 0.0
            for _ in range(30):
                started = time.monotonic()
                await database.execute("update counted set n = n + 1")
                longest = max(longest, time.monotonic() - started)
            assert longest < 2, "patience is 5 seconds"
            assert child.poll() is None
        finally:
            child.kill()
            child.communicate()


async def test_turns_are_given_only_while_another_process_writes(tmp_path, monkeypatch):
    """A process that uses the file alone never pauses between its commits."""
    pauses = []
    monkeypatch.setattr(session, "jitter", lambda longest: pauses.append(longest) or 0)
    now = [1000.0]
    monkeypatch.setattr(session, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=time.sleep))
    path = tmp_path / "a.db"
    async with opened(path) as here, opened(path) as there:
        await here.execute("create table kept (id bigint primary key)")
        for id_ in range(50):
            await here.execute("insert into kept (id) values ($1)", id_)
        assert not pauses
        await there.execute("insert into kept (id) values (100)")
        await here.execute("insert into kept (id) values (101)")  # notices that another process has committed
        await here.execute("insert into kept (id) values (102)")
        assert pauses == [session.TURN]
        now[0] += session.CROWDED_SECONDS
        await here.execute("insert into kept (id) values (103)")
        assert pauses == [session.TURN]


async def test_kill_9_under_load_loses_no_confirmed_commit(tmp_path):
    """Every number that the killed process had confirmed is stored, with its second row, and the file is intact."""
    path = tmp_path / "a.db"
    async with opened(path) as database:
        await database.execute("create table kept (id bigint primary key)")
    child = start("insert", path, 32)
    confirmed = [int(await asyncio.to_thread(child.stdout.readline)) for _ in range(500)]
    child.kill()
    rest, _ = child.communicate()
    confirmed += [int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    async with opened(path) as database:
        rows = {row[0] for row in await database.all("select id from kept")}
        assert set(confirmed) <= rows
        assert {-row for row in rows} == rows
        assert await database.one("pragma integrity_check") == ("ok",)
        assert await database.execute("insert into kept (id) values (0)") == 1
    assert len(confirmed) >= 500


async def test_a_commit_of_another_process_wakes_a_waiting_caller(tmp_path):
    """`PRAGMA data_version` ends the wait, not its timeout of five minutes."""
    path = tmp_path / "a.db"
    async with opened(path) as here, opened(path) as there:
        await here.execute("create table kept (id bigint primary key)")
        await here.wait_for_change(0)
        waiting = asyncio.create_task(here.wait_for_change(300))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await there.execute("insert into kept (id) values (1)")
        await asyncio.wait_for(waiting, 20)
