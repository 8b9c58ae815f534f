"""When the disk fails, every caller gets a correct answer, and the next transaction works."""

import asyncio
import resource
import sqlite3
import threading
from contextlib import asynccontextmanager, contextmanager

import pytest

from ostiary.errors import OutcomeUnknown, StoreUnavailable
from ostiary.store.sqlite import session, writer
from ostiary.store.sqlite.database import SqliteDatabase
from tests.logged import written

MEMBERS = 10
SPOILER = 5


@asynccontextmanager
async def opened(path, **options):
    database = SqliteDatabase(path / "a.db", **options)
    await database.open()
    await database.execute("create table kept (id bigint primary key, words text not null)")
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
def largest_file(monkeypatch):
    """Sets how many pages a database file may have, for later connections of the writer."""
    pages = []
    connect = session.connect

    def bounded(path):
        connection = connect(path)
        for limit in pages:
            connection.execute(f"pragma max_page_count = {limit}")
        return connection

    monkeypatch.setattr(session, "connect", bounded)
    return pages.append


@contextmanager
def no_file_larger_than(size):
    """The kernel refuses writes beyond this size, so SQLite gets an I/O error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def size_of_log(folder):
    return (folder / "a.db-wal").stat().st_size


class Refused(Exception):
    pass


def bodies(*, spoiler_size, first):
    """Ten bodies that insert, the sixth ``spoiler_size`` characters, then one that only reads and one that refuses."""

    def member(index):
        async def body(tx):
            size = spoiler_size if index == SPOILER else 10
            await tx.execute("insert into kept (id, words) values ($1, $2)", first + index, "x" * size)
            return first + index

        return body

    async def refusing(tx):
        await tx.one("select count(*) from kept")
        raise Refused

    return [*map(member, range(MEMBERS)), lambda tx: tx.one("select 'read'"), refusing]


async def batch(database, *, spoiler_size, first):
    """The answer for the caller of each of those bodies."""
    transactions = map(database.transaction, bodies(spoiler_size=spoiler_size, first=first))
    async with asyncio.timeout(20):
        return await asyncio.gather(*transactions, return_exceptions=True)


async def ids(database):
    return [row[0] for row in await database.all("select id from kept order by id")]


async def test_a_full_disk_fails_every_body_that_is_rolled_back(tmp_path, largest_file):
    """SQLite rolls back the whole transaction, so earlier bodies in the batch lose their rows too and get the error."""
    largest_file(20)
    async with opened(tmp_path) as database:
        answers = await batch(database, spoiler_size=200_000, first=0)
        assert [type(answer) for answer in answers[: SPOILER + 1]] == [StoreUnavailable] * (SPOILER + 1)
        assert "disk is full" in str(answers[0])
        assert answers[SPOILER + 1 : MEMBERS] == list(range(SPOILER + 1, MEMBERS))
        assert answers[MEMBERS] == ("read",)
        assert type(answers[MEMBERS + 1]) is Refused
        assert await ids(database) == list(range(SPOILER + 1, MEMBERS))


async def test_an_error_while_committing_leaves_the_outcome_unknown(tmp_path, monkeypatch):
    """This includes bodies that only read or refused, because their reads may be undone. Then the writer reconnects."""
    connections = []
    connect = session.connect
    monkeypatch.setattr(session, "connect", lambda path: connections.append(path) or connect(path))
    async with opened(tmp_path) as database:
        await database.execute("insert into kept (id, words) values (0, 'there')")
        with no_file_larger_than(size_of_log(tmp_path) + 20_000):
            answers = await batch(database, spoiler_size=30_000, first=100)
        assert [type(answer) for answer in answers] == [OutcomeUnknown] * len(answers)
        assert await ids(database) == [0]
        assert len(connections) == 1
        assert await database.execute("insert into kept (id, words) values (1, 'again')") == 1
        assert len(connections) == 2, "a connection that has failed is not used again"
        assert await ids(database) == [0, 1]


async def test_an_error_within_a_body_fails_its_batch(tmp_path):
    """A body that writes more than fits into memory gets the disk error before the commit. Nothing is written."""
    async with opened(tmp_path) as database:
        with no_file_larger_than(size_of_log(tmp_path) + 200_000):
            answers = await batch(database, spoiler_size=9_000_000, first=0)
        assert [type(answer) for answer in answers[: SPOILER + 1]] == [StoreUnavailable] * (SPOILER + 1)
        assert answers[SPOILER + 1 : MEMBERS] == list(range(SPOILER + 1, MEMBERS))
        assert await ids(database) == list(range(SPOILER + 1, MEMBERS))


async def test_a_full_disk_can_still_be_read_and_recovers(tmp_path, largest_file):
    """While nothing can be written, writers get 503 and readers continue. With free space, writers continue too."""
    largest_file(20)
    async with opened(tmp_path) as database:
        for id_ in range(3):
            await database.execute("insert into kept (id, words) values ($1, $2)", id_, "x" * 15_000)
        for id_ in range(3, 6):
            with pytest.raises(StoreUnavailable):
                await database.execute("insert into kept (id, words) values ($1, $2)", id_, "x" * 40_000)
        assert await ids(database) == [0, 1, 2]
        assert await database.execute("delete from kept where id > 0") == 2
        assert await database.execute("insert into kept (id, words) values (9, $1)", "x" * 20_000) == 1


async def test_a_lock_that_is_never_free_is_unavailable(tmp_path):
    """If another program holds the lock for longer than our patience, nothing is written. Later it works again."""
    async with opened(tmp_path, patience=0.1) as database:
        other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        other.execute("begin immediate")
        answers = await batch(database, spoiler_size=10, first=0)
        assert [type(answer) for answer in answers] == [StoreUnavailable] * len(answers)
        assert await ids(database) == [], "reading does not need the lock"
        patient = asyncio.create_task(
            database.transaction(lambda tx: tx.execute("insert into kept (id, words) values (1, 'x')"), patience=20)
        )
        await asyncio.sleep(0.3)
        other.execute("rollback")
        other.close()
        assert await patient == 1


async def test_no_caller_gets_an_answer_before_the_commit(tmp_path, monkeypatch):
    """Writers, readers and refusals all wait, because what they read could still be undone."""
    may_commit = threading.Event()
    commit = session.Session.commit
    monkeypatch.setattr(session.Session, "commit", lambda self, patience: (may_commit.wait(20), commit(self, patience)))
    database = SqliteDatabase(tmp_path / "a.db")
    await database.open()
    may_commit.set()
    await database.execute("create table kept (id bigint primary key, words text not null)")
    may_commit.clear()
    callers = [asyncio.create_task(database.transaction(body)) for body in bodies(spoiler_size=10, first=0)]
    await asyncio.sleep(0.2)
    assert not any(caller.done() for caller in callers)
    assert await ids(database) == []
    may_commit.set()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert answers[:MEMBERS] == list(range(MEMBERS))
    assert type(answers[-1]) is Refused
    await database.close()


async def test_the_queue_is_limited(tmp_path, monkeypatch):
    """Callers beyond the limit get 503 at once. Earlier callers are served."""
    monkeypatch.setattr(writer, "MOST_WAITING", 4)
    async with opened(tmp_path) as database:
        answers = await batch(database, spoiler_size=10, first=0)
        assert answers[:4] == [0, 1, 2, 3]
        assert {type(answer) for answer in answers[4:]} == {StoreUnavailable}


def _fail(*_):
    raise ZeroDivisionError("hunter2")


async def test_an_unexpected_error_answers_every_caller(tmp_path, monkeypatch, caplog):
    """After any error in the writer itself, every caller gets an answer, the log has a line, and the writer goes on."""
    async with opened(tmp_path) as database:
        with monkeypatch.context() as patch:
            patch.setattr(session.Session, "commit", _fail)
            answers = await batch(database, spoiler_size=10, first=0)
        assert {type(answer) for answer in answers} == {OutcomeUnknown}
        assert "builtins.ZeroDivisionError" in written(caplog)
        assert "in _fail" in written(caplog)
        assert "hunter2" not in written(caplog), "a driver's error may quote parameters"
        with monkeypatch.context() as patch:
            patch.setattr(session.Session, "begin", lambda *_: 1 / 0)
            answers = await batch(database, spoiler_size=10, first=0)
        assert {type(answer) for answer in answers} == {OutcomeUnknown}
        assert await ids(database) == []
        assert await database.execute("insert into kept (id, words) values (1, 'x')") == 1


def test_an_event_loop_that_ends_leaves_a_consistent_database(tmp_path):
    """Without `close`, all tasks are cancelled under load. Each caller gets an answer, and no body is stored partly."""
    outcomes = []

    async def caller(database, index):
        async def body(tx):
            await tx.execute("insert into kept (id, words) values ($1, 'first')", index)
            await tx.execute("insert into kept (id, words) values ($1, 'second')", -index)

        try:
            await database.transaction(body)
            outcomes.append(index)
        except BaseException as error:
            outcomes.append(error)
            raise

    async def main():
        database = SqliteDatabase(tmp_path / "a.db")
        await database.open()
        await database.execute("create table kept (id bigint primary key, words text not null)")
        tasks = [asyncio.create_task(caller(database, index)) for index in range(1, 1001)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    asyncio.run(main())
    assert len(outcomes) == 1000
    confirmed = {outcome for outcome in outcomes if isinstance(outcome, int)}

    async def found():
        database = SqliteDatabase(tmp_path / "a.db")
        await database.open()
        rows = await ids(database)
        await database.close()
        return set(rows)

    rows = asyncio.run(found())
    assert confirmed <= rows
    assert {-row for row in rows} == rows
