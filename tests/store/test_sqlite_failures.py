"""When the disk fails: everybody is answered, nobody wrongly, and the next transaction works."""

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
    """Sets how many pages a database file may have: for connections of the writer that are made from then on."""
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
    """The kernel refuses writes beyond it: SQLite sees an I/O error."""
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
    """Ten who insert, the sixth of them very much, then one who only reads and one who refuses."""

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
    """What each of those bodies' callers is told."""
    transactions = map(database.transaction, bodies(spoiler_size=spoiler_size, first=first))
    async with asyncio.timeout(20):
        return await asyncio.gather(*transactions, return_exceptions=True)


async def ids(database):
    return [row[0] for row in await database.all("select id from kept order by id")]


async def test_a_full_disk_fails_all_whose_rows_it_takes(tmp_path, largest_file):
    """SQLite rolls back the whole transaction: those before the one who filled it lose their rows too, and are told."""
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
    """Also for those who only read or refused: they may have read what is not there now. Then all starts afresh."""
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
    """A body that writes more than memory keeps meets the disk's error before the commit: nothing was written."""
    async with opened(tmp_path) as database:
        with no_file_larger_than(size_of_log(tmp_path) + 200_000):
            answers = await batch(database, spoiler_size=9_000_000, first=0)
        assert [type(answer) for answer in answers[: SPOILER + 1]] == [StoreUnavailable] * (SPOILER + 1)
        assert answers[SPOILER + 1 : MEMBERS] == list(range(SPOILER + 1, MEMBERS))
        assert await ids(database) == list(range(SPOILER + 1, MEMBERS))


async def test_a_full_disk_can_still_be_read_and_recovers(tmp_path, largest_file):
    """While nothing can be written every writer gets 503, readers go on; with space again, so do writers."""
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


async def test_a_lock_that_is_not_given_is_unavailable(tmp_path):
    """Another program holds the lock for longer than our patience: nothing was written, and later it works."""
    async with opened(tmp_path, patience=0.1) as database:
        other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        other.execute("begin immediate")
        answers = await batch(database, spoiler_size=10, first=0)
        assert [type(answer) for answer in answers] == [StoreUnavailable] * len(answers)
        assert await ids(database) == [], "reading needs no lock"
        patient = asyncio.create_task(
            database.transaction(lambda tx: tx.execute("insert into kept (id, words) values (1, 'x')"), patience=20)
        )
        await asyncio.sleep(0.3)
        other.execute("rollback")
        other.close()
        assert await patient == 1


async def test_nobody_is_answered_before_the_commit(tmp_path, monkeypatch):
    """Neither a writer, nor a reader, nor a refusal: what they saw could still be undone."""
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


async def test_a_queue_without_end_is_refused(tmp_path, monkeypatch):
    """Callers beyond the bound get 503 at once; those before them are served."""
    monkeypatch.setattr(writer, "MOST_WAITING", 4)
    async with opened(tmp_path) as database:
        answers = await batch(database, spoiler_size=10, first=0)
        assert answers[:4] == [0, 1, 2, 3]
        assert {type(answer) for answer in answers[4:]} == {StoreUnavailable}


def _fail(*_):
    raise ZeroDivisionError("hunter2")


async def test_an_unforeseen_error_leaves_nobody_waiting(tmp_path, monkeypatch, caplog):
    """Whatever happens in the writer itself: an answer for everybody, a line in the log, and it goes on."""
    async with opened(tmp_path) as database:
        with monkeypatch.context() as patch:
            patch.setattr(session.Session, "commit", _fail)
            answers = await batch(database, spoiler_size=10, first=0)
        assert {type(answer) for answer in answers} == {OutcomeUnknown}
        assert "builtins.ZeroDivisionError" in written(caplog)
        assert "in _fail" in written(caplog)
        assert "hunter2" not in written(caplog), "a driver quotes what it was given"
        with monkeypatch.context() as patch:
            patch.setattr(session.Session, "begin", lambda *_: 1 / 0)
            answers = await batch(database, spoiler_size=10, first=0)
        assert {type(answer) for answer in answers} == {OutcomeUnknown}
        assert await ids(database) == []
        assert await database.execute("insert into kept (id, words) values (1, 'x')") == 1


def test_an_event_loop_that_ends_leaves_a_sound_database(tmp_path):
    """Without `close`, under load, all tasks are cancelled: each caller is answered and whole bodies are there."""
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
