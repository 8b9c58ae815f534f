"""Migrations: each is applied once and completely, even if several processes migrate at the same time."""

import asyncio
import contextlib
from typing import Final

from ostiary.errors import ConfigurationError, NoSuchTable, StoreUnavailable
from ostiary.store.database import Database
from ostiary.store.migrations import STORE, Migrations, migrate, pending, status
from ostiary.testing.conformance.opening import DatabaseCheck, OpenDatabase, raising

PROCESSES: Final = 4

DOORS: Final = {
    "0001_doors.sql": "create table doors (id text primary key); -- comment;\ninsert into doors (id) values (';');",
    "0002_keys.sql": "create table keys (id text primary key, door text not null references doors (id));",
}


async def migrations_run_once_and_in_order(opened: OpenDatabase) -> None:
    """The store's own come first, then each slice's, by number. A second run does nothing."""
    slices = [_slice("doors", DOORS), _slice("bells", {"0001_bells.sql": "create table bells (id text primary key)"})]
    own = [str(file) for file in STORE.files()]
    async with opened() as database:
        expected = [*own, "doors/0001_doors.sql", "doors/0002_keys.sql", "bells/0001_bells.sql"]
        assert [str(migration) for migration in await pending(database, slices)] == expected
        assert [str(migration) for migration in await migrate(database, slices)] == expected
        assert await pending(database, slices) == ()
        assert await migrate(database, slices) == ()
        assert await database.all("select id from doors") == [(";",)]


async def several_processes_may_migrate_at_the_same_time(opened: OpenDatabase) -> None:
    """Processes that start together all succeed, and each file is applied by one of them."""
    slices = [_slice("doors", DOORS)]
    async with contextlib.AsyncExitStack() as stack:
        databases: list[Database] = [await stack.enter_async_context(opened()) for _ in range(PROCESSES)]
        applied = await asyncio.gather(*(migrate(database, slices) for database in databases))
        names = sorted(str(migration) for each in applied for migration in each)
        assert names == sorted(str(migration) for each in (STORE, *slices) for migration in each.files())
        assert await databases[0].all("select id from doors") == [(";",)]


async def a_failed_migration_leaves_nothing_behind(opened: OpenDatabase) -> None:
    """A file is applied as a whole or not at all. Earlier files stay. After a correction, migrating continues there."""
    broken = {**DOORS, "0002_keys.sql": "create table keys (id text); insert into doors (id) values (';');"}
    async with opened() as database:
        with raising(ConfigurationError) as raised:
            await migrate(database, [_slice("doors", broken)])
        assert "doors/0002_keys.sql" in str(raised[0])
        with raising(NoSuchTable):
            await database.all("select id from keys")
        (applied,) = await migrate(database, [_slice("doors", DOORS)])
        assert str(applied) == "doors/0002_keys.sql"


async def a_changed_file_is_refused(opened: OpenDatabase) -> None:
    """If a file differs from what was applied, nothing is done, and the error names the file."""
    changed = {**DOORS, "0001_doors.sql": "create table doors (id text);", "0003_x.sql": "selec"}
    renamed = {"0001_gates.sql": DOORS["0001_doors.sql"], "0002_keys.sql": DOORS["0002_keys.sql"]}
    async with opened() as database:
        await migrate(database, [_slice("doors", DOORS)])
        for files, named in ((changed, "doors/0001_doors.sql"), (renamed, "doors/0001_gates.sql")):
            for ask in (migrate, pending):
                with raising(ConfigurationError) as raised:
                    await ask(database, [_slice("doors", files)])
                assert named in str(raised[0])


async def a_newer_schema_is_reported_and_allowed(opened: OpenDatabase) -> None:
    """During a deployment, an older version runs next to a newer one. It finds unknown migrations and continues."""
    older = [_slice("doors", {"0001_doors.sql": DOORS["0001_doors.sql"]})]
    async with opened() as database:
        await migrate(database, [_slice("doors", DOORS)])
        assert await migrate(database, older) == ()
        found = await status(database, older)
        assert found.pending == ()
        assert found.unknown == ("doors/0002_keys.sql",)
        assert (await status(database, [])).unknown == (), "a disabled slice does not count as newer"


async def writes_that_work_pass_their_check(opened: OpenDatabase) -> None:
    """Readiness asks this, also while other processes write. After the database was closed, writes do not work."""
    async with opened() as there:
        async with opened() as here:
            await migrate(here, [])
            for database in (here, there):
                await database.check_writes()
        with raising(StoreUnavailable):
            await here.check_writes()
        await there.check_writes()


def _slice(name: str, files: dict[str, str]) -> Migrations:
    return Migrations(name, lambda: files)


MIGRATION_CHECKS: Final[tuple[DatabaseCheck, ...]] = (
    migrations_run_once_and_in_order,
    several_processes_may_migrate_at_the_same_time,
    a_failed_migration_leaves_nothing_behind,
    a_changed_file_is_refused,
    a_newer_schema_is_reported_and_allowed,
    writes_that_work_pass_their_check,
)
