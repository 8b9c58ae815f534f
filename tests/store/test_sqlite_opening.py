"""A database that cannot work is refused when it is opened, with one line that says why."""

import asyncio
import os
import pwd
import shutil
import sqlite3
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from ostiary.errors import ConfigurationError, StoreUnavailable
from ostiary.store.sqlite.database import SqliteDatabase


@contextmanager
def as_nobody():
    """Root may write everywhere, so the block runs as the user nobody, in a folder of that user."""
    folder = Path(tempfile.mkdtemp(prefix="ostiary-test-"))
    was = os.geteuid()
    if was == 0:
        nobody = pwd.getpwnam("nobody").pw_uid
        os.chown(folder, nobody, -1)
        os.seteuid(nobody)
    try:
        yield folder
    finally:
        os.seteuid(was)
        folder.chmod(0o700)
        shutil.rmtree(folder)


async def refusal(path):
    with pytest.raises(ConfigurationError) as refused:
        await SqliteDatabase(path).open()
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)
    return str(refused.value)


async def make(path):
    database = SqliteDatabase(path)
    await database.open()
    await database.execute("create table kept (id bigint)")
    await database.close()


async def test_a_missing_folder_is_named(tmp_path):
    assert "No such file or directory" in await refusal(tmp_path / "nowhere" / "a.db")


async def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").touch()
    assert "Not a directory" in await refusal(tmp_path / "file" / "a.db")


async def test_a_folder_instead_of_the_file_is_named(tmp_path):
    assert "it is a folder" in await refusal(tmp_path)


async def test_another_kind_of_file_is_not_changed(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, this is not a database. " * 100)
    before = path.read_bytes()
    assert "it is not an SQLite database" in await refusal(path)
    assert path.read_bytes() == before


async def test_an_unwritable_folder_is_refused():
    with as_nobody() as folder:
        folder.chmod(0o500)
        assert "Permission denied" in await refusal(folder / "a.db")


async def test_an_unwritable_folder_around_a_database_is_refused():
    with as_nobody() as folder:
        await make(folder / "a.db")
        folder.chmod(0o500)
        assert "is not writable" in await refusal(folder / "a.db")


async def test_a_read_only_file_is_refused():
    with as_nobody() as folder:
        await make(folder / "a.db")
        (folder / "a.db").chmod(0o400)
        assert "is not writable" in await refusal(folder / "a.db")


async def test_an_unreadable_file_is_refused():
    with as_nobody() as folder:
        await make(folder / "a.db")
        (folder / "a.db").chmod(0)
        assert "is not writable" in await refusal(folder / "a.db")


async def test_a_database_that_failed_to_open_can_be_opened_later(tmp_path):
    database = SqliteDatabase(tmp_path / "later" / "a.db")
    with pytest.raises(ConfigurationError):
        await database.open()
    with pytest.raises(StoreUnavailable):
        await database.one("select 1")
    await database.close()
    (tmp_path / "later").mkdir()
    await database.open()
    assert await database.one("select 1") == (1,)
    await database.close()


async def test_only_the_owner_can_read_the_files(tmp_path):
    """They contain password hashes. The umask does not matter."""
    umask = os.umask(0)
    try:
        database = SqliteDatabase(tmp_path / "a.db")
        await database.open()
        await database.execute("create table kept (id bigint)")
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        await database.close()
    finally:
        os.umask(umask)
    assert modes == {"a.db": 0o600, "a.db-wal": 0o600, "a.db-shm": 0o600}


async def test_confirmed_commits_survive_a_power_failure(tmp_path):
    """With WAL and synchronous=FULL, every commit is synced. Foreign keys are enforced."""
    database = SqliteDatabase(tmp_path / "a.db")
    await database.open()

    async def settings(tx):
        return [(await tx.one(f"pragma {name}"))[0] for name in ("journal_mode", "synchronous", "foreign_keys")]

    assert await database.transaction(settings) == ["wal", 2, 1]
    await database.close()


async def test_opening_waits_for_a_file_that_another_program_has_locked(tmp_path):
    """Opening gives up with 503, not with a wrong reason. It succeeds after the other program has finished."""
    path = tmp_path / "a.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("pragma journal_mode = wal")
    other.execute("begin immediate")
    with pytest.raises(StoreUnavailable):
        await SqliteDatabase(path, patience=0.05).open()
    database = SqliteDatabase(path)
    opening = asyncio.create_task(database.open())
    await asyncio.sleep(0.05)
    assert not opening.done()
    other.execute("commit")
    await opening
    await database.close()
    other.close()


async def test_a_deleted_file_is_not_created_again(tmp_path):
    """A new, empty database would contain no accounts and no revocations."""
    database = SqliteDatabase(tmp_path / "a?b.db")
    await database.open()
    (tmp_path / "a?b.db").unlink()
    for ask in (database.one, database.all, database.execute):
        with pytest.raises(StoreUnavailable):
            await ask("select 1")
    await database.close()
    assert not (tmp_path / "a?b.db").exists()


async def test_the_working_directory_may_change_after_construction(tmp_path, monkeypatch):
    """A relative path is resolved when the database object is created."""
    monkeypatch.chdir(tmp_path)
    database = SqliteDatabase("a.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    await database.open()
    await database.close()
    assert (tmp_path / "a.db").exists()
