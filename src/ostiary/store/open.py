"""Finds the engine for a URL in the settings."""

import urllib.parse
from pathlib import Path
from typing import Final

from ostiary.errors import ConfigurationError
from ostiary.store.database import Database
from ostiary.store.hot import Hot
from ostiary.store.postgres.database import PostgresDatabase
from ostiary.store.sqlite.database import SqliteDatabase
from ostiary.store.valkey_hot import ValkeyHot

EXPECTED: Final = (
    "the database URL must be like sqlite:///file.db, sqlite:////folder/file.db or postgresql://user@host/name"
    " (in the name of an SQLite file, percent-encode # as %23 and ? as %3F)"
)


def database_from_url(url: str) -> Database:
    """The database, not yet opened.

    Raises:
        ConfigurationError: says what the URL must be like. It never quotes the URL, which may contain a password.
    """
    if path := sqlite_path(url):
        return SqliteDatabase(path)
    if url.partition("://")[0] in {"postgresql", "postgres"}:
        return PostgresDatabase(url)
    raise ConfigurationError(EXPECTED)


def hot_from_url(url: str) -> Hot:
    """The Valkey or Redis server, not yet opened. Without one, counters are in the database: `SqlHot`."""
    return ValkeyHot(url)


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite URL, ``sqlite:///relative.db`` or ``sqlite:////absolute.db``. None for other URLs."""
    scheme, _, rest = url.partition("://")
    if scheme != "sqlite":
        return None
    path = urllib.parse.unquote(rest[1:])
    if not rest.startswith("/") or not path or path.endswith("/") or "?" in rest or "#" in rest or "\0" in path:
        raise ConfigurationError(EXPECTED)
    if ":memory:" in path:
        raise ConfigurationError("SQLite in memory is not durable, and workers would not share it: use a file")
    return Path(path)
