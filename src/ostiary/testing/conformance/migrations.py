"""Migrations: each is applied once and completely, even if several processes migrate at the same time."""

import asyncio
import contextlib
from typing import Final

from ostiary.errors import ConfigurationError, NoSuchTable
from ostiary.store.database import Database
from ostiary.store.migrations import STORE, Migrations, migrate, pending, status
from ostiary.testing.conformance.opening import DatabaseCheck, OpenDatabase, raising

PROCESSES: Final = 4

DOORS: Final = {
    "0001_doors.sql": "create table doors (id text primary key); -- comment;\ninsert into doors (id) values (';');",
    "0002_keys.sql": "create table keys (id text primary key, door text not null references doors (id));",
}


async def migrations_run_once_and_in_order(opened: OpenDatabase) -> None:
    """The store's own come first, then each slice's by number; a second time there is nothing to do."""
    slices = [_slice("doors", DOORS), _slice("bells", {"0001_bells.sql": "create table bells (id text primary key)"})]
    own = [str(file) for file in STORE.files()]
    async with opened() as database:
        expected = [*own, "doors/0001_doors.sql", "doors/0002_keys.sql", "bells/0001_bells.sql"]
        assert [str(migration) for migration in await pending(database, slices)] == expected
        assert [str(migration) for migration in await migrate(database, slices)] == expected
        assert await pending(database, slices) == ()
        assert await migrate(database, slices) == ()
        assert await database.all("select id from doors") == [(";",)]


async def processes_may_migrate_at_once(opened: OpenDatabase) -> None:
    """Several that start together all succeed, and each file is applied by one of them."""
    slices = [_slice("doors", DOORS)]
    async with contextlib.AsyncExitStack() as stack:
        databases: list[Database] = [await stack.enter_async_context(opened()) for _ in range(PROCESSES)]
        applied = await asyncio.gather(*(migrate(database, slices) for database in databases))
        names = sorted(str(migration) for each in applied for migration in each)
        assert names == sorted(str(migration) for each in (STORE, *slices) for migration in each.files())
        assert await databases[0].all("select id from doors") == [(";",)]


async def a_migration_that_fails_leaves_nothing(opened: OpenDatabase) -> None:
    """A file is applied as a whole or not at all; those before it stay; corrected, it goes on from there."""
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
    """What was applied is not what the file says now: nothing is done, and the file is named."""
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
    """An older version, side by side with the newer one during a deployment, finds more than it knows, and goes on."""
    older = [_slice("doors", {"0001_doors.sql": DOORS["0001_doors.sql"]})]
    async with opened() as database:
        await migrate(database, [_slice("doors", DOORS)])
        assert await migrate(database, older) == ()
        found = await status(database, older)
        assert found.pending == ()
        assert found.unknown == ("doors/0002_keys.sql",)
        assert (await status(database, [])).unknown == (), "a slice that is switched off is nothing new"


def _slice(name: str, files: dict[str, str]) -> Migrations:
    return Migrations(name, lambda: files)


MIGRATION_CHECKS: Final[tuple[DatabaseCheck, ...]] = (
    migrations_run_once_and_in_order,
    processes_may_migrate_at_once,
    a_migration_that_fails_leaves_nothing,
    a_changed_file_is_refused,
    a_newer_schema_is_reported_and_allowed,
)
