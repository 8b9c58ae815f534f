"""What happens to the file under a running server, and whether the server says so."""

import resource
import shutil
from contextlib import asynccontextmanager, contextmanager

import pytest

from ostiary.core.clock import MICROSECONDS
from ostiary.errors import StoreUnavailable
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


@contextmanager
def no_file_larger_than(size):
    """The kernel refuses writes beyond this size, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("happen", [renamed, deleted, replaced])
async def test_a_file_that_was_moved_under_a_running_server_takes_no_more_writes(tmp_path, happen):
    """Otherwise they are acknowledged, and gone after the next start. The server does not continue on a file that it
    has not opened either."""
    path = tmp_path / "a.db"
    async with opened(path) as database:
        follower = Follower(database, lambda _: None)
        await follower.catch_up()
        happen(path)
        for attempt in (
            lambda: database.execute("insert into kept (id, words) values (1, 'lost')"),
            lambda: database.one("select * from kept"),
            lambda: database.all("select * from kept"),
            database.check_writes,
            follower.catch_up,
        ):
            with pytest.raises(StoreUnavailable, match="renamed, deleted or replaced"):
                await attempt()


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
