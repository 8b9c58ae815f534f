"""Migrations: numbered ``.sql`` files of each slice, applied forward only, each once and as a whole.

Several processes may migrate at the same time. Two versions of the code may run side by side: a version that finds
migrations that it does not know continues (expand first, contract later). A file that was changed after it was applied
is refused.
"""

import hashlib
import importlib.resources
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from ostiary.errors import ConfigurationError, ConstraintViolated, NoSuchTable, StatementRefused
from ostiary.store.database import Database, Reader, Transaction
from ostiary.store.splitting import statements

FOLDER: Final = "migrations"

LOCK: Final = "migrations"

PATIENCE_SECONDS: Final = 600.0
"""How long to wait for a statement on a large table, for a lock, or for another process that is migrating."""

_FILE_NAME: Final = re.compile(r"([0-9]{4})_[a-z0-9_]+\.sql")

_Records: TypeAlias = "dict[tuple[str, int], Record]"

_RECORD_TABLE: Final = (
    "create table if not exists store_migration ("
    " slice text not null, number bigint not null, name text not null, checksum text not null,"
    " applied_at bigint not null, primary key (slice, number))"  # applied_at: microseconds since the epoch
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its slice, number, name and text."""

    slice_name: str
    number: int
    name: str
    text: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.slice_name}/{self.name}"

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self) -> list[str]:
        try:
            return list(statements(self.text))
        except ValueError as problem:
            raise ConfigurationError(f"the migration {self} cannot be read: {problem}") from None


@dataclass(frozen=True, slots=True)
class Migrations:
    """The migrations of one slice. ``read`` returns file names and texts. It is called only when they are needed."""

    slice_name: str
    read: Callable[[], Mapping[str, str]]

    @classmethod
    def of(cls, slice_name: str, *, package: str) -> "Migrations":
        """The files in the ``migrations`` folder of a package."""
        return cls(slice_name, partial(_texts, package))

    def files(self) -> list[Migration]:
        """The files, in order.

        Raises:
            ConfigurationError: the files are not numbered 0001, 0002, … without a gap.
        """
        found = []
        for number, (name, text) in enumerate(sorted(self.read().items()), start=1):
            match = _FILE_NAME.fullmatch(name)
            if match is None or int(match[1]) != number:
                raise ConfigurationError(f"the migration {self.slice_name}/{name} should be called {number:04d}_….sql")
            found.append(Migration(self.slice_name, number, name, text))
        return found


@dataclass(frozen=True, slots=True)
class Status:
    """``pending``: migrations to apply, in order. ``unknown``: applied by a newer version, as slice/name."""

    pending: tuple[Migration, ...]
    unknown: tuple[str, ...]


class Record(NamedTuple):
    """What the database stores about an applied migration."""

    name: str
    checksum: str


async def status(database: Database, slices: Sequence[Migrations]) -> Status:
    """Compares the migrations of a database with the files of the store and the slices.

    Raises:
        ConfigurationError: a file was changed after it was applied.
    """
    try:
        records = await _records(database)
    except NoSuchTable:
        records = {}
    files = {each.slice_name: each.files() for each in (STORE, *slices)}
    in_order = itertools.chain.from_iterable(files.values())
    lacking = (migration for migration in in_order if not _is_applied(migration, records))
    unknown = (
        f"{slice_name}/{record.name}"
        for (slice_name, number), record in sorted(records.items())
        if slice_name in files and number > len(files[slice_name])  # not of a disabled slice
    )
    return Status(tuple(lacking), tuple(unknown))


async def applied_at(reader: Reader, slice_name: str, number: int) -> int | None:
    """When a migration was applied, in microseconds since the epoch by the database's clock. None if it is pending."""
    row = await reader.one(
        "select applied_at from store_migration where slice = $1 and number = $2", slice_name, number
    )
    return None if row is None else int(row[0])


async def pending(database: Database, slices: Sequence[Migrations]) -> tuple[Migration, ...]:
    """What `migrate` would apply."""
    return (await status(database, slices)).pending


async def migrate(database: Database, slices: Sequence[Migrations]) -> tuple[Migration, ...]:
    """Applies pending migrations and returns those that this call has applied, not those of another process.

    The store's own tables come first, then the slices in their order. Each file is one transaction.

    Raises:
        ConfigurationError: a file cannot be applied, or was changed after it was applied.
    """
    applied = [migration for migration in await pending(database, slices) if await _apply(database, migration)]
    return tuple(applied)


async def _apply(database: Database, migration: Migration) -> bool:
    now = await database.now()
    to_run = migration.statements()

    async def body(tx: Transaction) -> bool:
        await tx.lock(LOCK)
        await tx.execute(_RECORD_TABLE)
        if _is_applied(migration, await _records(tx)):
            return False
        for statement in to_run:
            await tx.execute(statement)
        await tx.execute(
            "insert into store_migration (slice, number, name, checksum, applied_at) values ($1, $2, $3, $4, $5)",
            migration.slice_name,
            migration.number,
            migration.name,
            migration.checksum,
            now,
        )
        return True

    try:
        return await database.transaction(body, patience=PATIENCE_SECONDS)
    except (ConstraintViolated, StatementRefused) as error:
        raise ConfigurationError(f"the migration {migration} cannot be applied: {error}") from error


async def _records(reader: Reader) -> _Records:
    rows = await reader.all("select slice, number, name, checksum from store_migration")
    return {(slice_name, number): Record(name, checksum) for slice_name, number, name, checksum in rows}


def _is_applied(migration: Migration, records: _Records) -> bool:
    record = records.get((migration.slice_name, migration.number))
    if record is None:
        return False
    if record != Record(migration.name, migration.checksum):
        raise ConfigurationError(f"the migration {migration} differs from the one that was applied to this database")
    return True


def _texts(package: str) -> dict[str, str]:
    """Reads in text mode, so that a checkout with other line endings does not change a checksum."""
    folder = importlib.resources.files(package) / FOLDER
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".sql")}


STORE: Final = Migrations.of("store", package="ostiary.store")
"""The store's own tables. They come before those of every slice."""
