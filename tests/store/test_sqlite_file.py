"""What happens to the file under a running server, and whether the server says so."""

import asyncio
import resource
import shutil
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager, closing, contextmanager

import pytest

from ostiary.core.clock import MICROSECONDS
from ostiary.errors import OutcomeUnknown, StoreUnavailable
from ostiary.store import writes
from ostiary.store.feed import Follower
from ostiary.store.migrations import migrate
from ostiary.store.sqlite import file
from ostiary.store.sqlite.database import SqliteDatabase
from tests.core.installation import installation


@pytest.fixture(autouse=True)
def _always_looks(monkeypatch):
    monkeypatch.setattr(file, "LOOK_SECONDS", 0)
    monkeypatch.setattr(writes, "PROBE_SECONDS", 0)


@asynccontextmanager
async def opened(path):
    database = SqliteDatabase(path)
    await database.open()
    await migrate(database, [])
    await database.execute("create table kept (id bigint primary key, words text not null)")
    try:
        yield database
    finally:
        await database.close()


def renamed(path):
    path.rename(path.with_suffix(".old"))


def deleted(path):
    path.unlink()


def replaced(path):
    shutil.copy(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").replace(path)


def back_up(path):
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(path.with_suffix(".backup"))) as copy:
        source.backup(copy)


def restored(path):
    """As with ``cp backup.db a.db``, which keeps the file's inode, and the removal of the log that belonged to it."""
    shutil.copyfile(path.with_suffix(".backup"), path)
    without_log(path)


def without_log(path):
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink()


def without_index(path):
    path.with_name(f"{path.name}-shm").unlink()


@contextmanager
def no_file_larger_than(size):
    """The kernel refuses writes beyond this size, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("happen", [renamed, deleted, replaced, restored, without_log, without_index])
async def test_a_file_that_was_moved_under_a_running_server_takes_no_more_writes(tmp_path, happen):
    """Otherwise they are acknowledged, and gone after the next start. The server does not continue on a file that it
    has not opened either."""
    path = tmp_path / "a.db"
    async with opened(path) as database:
        follower = Follower(database, lambda _: None)
        await follower.catch_up()
        back_up(path)
        happen(path)
        for attempt in (
            lambda: database.execute("insert into kept (id, words) values (1, 'lost')"),
            lambda: database.one("select * from kept"),
            lambda: database.all("select * from kept"),
            database.check_writes,
            follower.catch_up,
        ):
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match="renamed, deleted or replaced"):
                    await attempt()


@pytest.mark.parametrize("in_between", [False, True])
async def test_a_backup_that_is_restored_under_a_running_server_is_not_damaged(tmp_path, in_between):
    """The server has the deleted log open, and must not write it into the backup when it stops. In between: the log
    is deleted during a transaction, whose commit is not confirmed then."""
    path = tmp_path / "a.db"

    async def body(tx):
        await tx.execute("insert into kept (id, words) values (1000, 'x')")
        restored(path)

    async with opened(path) as database:
        await database.execute("insert into kept (id, words) values (1, 'x')")
        back_up(path)
        for number in range(2, 100):
            await database.execute("insert into kept (id, words) values ($1, $2)", number, "x" * 500)
        if in_between:
            with pytest.raises(OutcomeUnknown):
                await database.transaction(body)
        else:
            restored(path)
        with pytest.raises(StoreUnavailable):
            await database.execute("insert into kept (id, words) values (1001, 'x')")
    look = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(*c.execute(sys.argv[2]).fetchall())"
    for sql, found in (("select id from kept", "(1,)"), ("pragma integrity_check", "('ok',)")):
        seen = await asyncio.to_thread(subprocess.check_output, [sys.executable, "-c", look, path, sql], text=True)
        assert seen == f"{found}\n"  # another process sees what the next start sees


async def test_a_log_that_sqlite_itself_deletes_is_no_reason_to_refuse(tmp_path):
    """The last connection to close deletes it, for example after an error of the disk. The next makes a new one."""
    path = tmp_path / "a.db"
    async with opened(path) as database:
        reading, writer = database._parts()
        for number in range(3):
            writer._session.discard()
            reading._inline.discard()
            await database.execute("insert into kept (id, words) values ($1, 'x')", number)
            await database.check_writes()
            assert await database.one("select count(*) from kept") == (number + 1,)


async def test_a_file_that_is_back_is_used_again(tmp_path):
    path = tmp_path / "a.db"
    async with opened(path) as database:
        renamed(path)
        with pytest.raises(StoreUnavailable):
            await database.execute("insert into kept (id, words) values (1, 'x')")
        path.with_suffix(".old").rename(path)
        await database.check_writes()
        await database.execute("insert into kept (id, words) values (2, 'x')")
        assert await database.all("select id from kept") == [(2,)]


async def test_a_log_that_was_away_while_a_transaction_failed_is_used_again(tmp_path):
    """The connection of that time cannot be closed, but it no longer holds the lock."""
    path = tmp_path / "a.db"
    log = path.with_name("a.db-wal")
    async with opened(path) as database:
        _, writer = database._parts()
        writer._session.begin(1)
        writer._session.connection.execute("insert into kept (id, words) values (1, 'x')")
        log.rename(tmp_path / "away")
        writer._session.discard()
        with pytest.raises(StoreUnavailable):
            await database.check_writes()
        (tmp_path / "away").rename(log)
        await database.execute("insert into kept (id, words) values (2, 'x')")
        assert await database.all("select id from kept") == [(2,)]


async def test_a_file_that_is_moved_during_a_commit_leaves_no_acknowledged_write(tmp_path):
    path = tmp_path / "a.db"

    async def body(tx):
        await tx.execute("insert into kept (id, words) values (1, 'lost')")
        renamed(path)

    async with opened(path) as database:
        with pytest.raises(StoreUnavailable):
            await database.transaction(body)


async def readiness(house):
    """The answer of /readyz, with a clock that is right: that of the installation stands still."""
    house.clock.advance((await house.ambient.database.now() - house.ambient.now()) // MICROSECONDS)
    answer = await house.ask("GET", "/readyz")
    return answer.status_code, answer.json().get("part")


async def test_on_a_full_disk_the_server_is_not_ready_until_there_is_room(tmp_path):
    path = tmp_path / "a.db"
    async with installation(f"sqlite:///{path}") as house:
        assert await readiness(house) == (200, None)
        with no_file_larger_than(path.with_name("a.db-wal").stat().st_size):
            answer = await house.post("/register", {"email": "ada@example.com", "password": "correct horse battery"})
            assert answer.status_code == 503
            assert [await readiness(house) for _ in range(3)] == [(503, "database")] * 3
        assert await readiness(house) == (200, None)


async def test_readiness_writes_nothing_while_writes_work(tmp_path):
    path = tmp_path / "a.db"
    async with opened(path) as database:
        before = path.with_name("a.db-wal").stat().st_size
        for _ in range(100):
            await database.check_writes()
        assert path.with_name("a.db-wal").stat().st_size == before


async def test_readiness_probes_once_a_second_at_most(tmp_path, monkeypatch):
    """Anybody may ask, so it must not be a way to make the server write."""
    monkeypatch.setattr(writes, "PROBE_SECONDS", 3600)
    path = tmp_path / "a.db"
    async with opened(path) as database:
        with no_file_larger_than(path.with_name("a.db-wal").stat().st_size):
            for _ in range(2):
                with pytest.raises(StoreUnavailable):
                    await database.execute("insert into kept (id, words) values (1, 'x')")
                with pytest.raises(StoreUnavailable):
                    await database.check_writes()
        rows = await database.all("select * from store_lease where name = 'write probe'")
        with pytest.raises(StoreUnavailable):
            await database.check_writes()
        assert rows == await database.all("select * from store_lease where name = 'write probe'") == []
