"""From a URL in the settings to its engine."""

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
)

_YES_OR_NO: Final = {"true": True, "false": False}


def database_from_url(url: str) -> Database:
    """The database, not yet opened. ``?pooler=true`` after a PostgreSQL URL: it is that of a pooling proxy.

    Raises:
        ConfigurationError: what the URL should be like. Never quotes it: it may have a password in it.
    """
    if path := sqlite_path(url):
        return SqliteDatabase(path)
    if url.partition("://")[0] in {"postgresql", "postgres"}:
        return _postgres(url)
    raise ConfigurationError(EXPECTED)


def hot_from_url(url: str) -> Hot:
    """The Valkey or Redis server, not opened yet. Without one, counters are in the database: `SqlHot`."""
    return ValkeyHot(url)


def sqlite_path(url: str) -> Path | None:
    """The file that an SQLite URL names, ``sqlite:///relative.db`` or ``sqlite:////absolute.db``; else None."""
    scheme, _, rest = url.partition("://")
    if scheme != "sqlite":
        return None
    path = urllib.parse.unquote(rest[1:])
    if not rest.startswith("/") or not path or path.endswith("/") or "?" in rest or "#" in rest or "\0" in path:
        raise ConfigurationError(EXPECTED)
    if ":memory:" in path:
        raise ConfigurationError("SQLite in memory is not durable, and every worker would have its own: name a file")
    return Path(path)


def _postgres(url: str) -> Database:
    base, _, query = url.partition("?")
    fields = urllib.parse.parse_qsl(query, keep_blank_values=True)
    pooler = [value for name, value in fields if name == "pooler"]
    if len(pooler) > 1 or any(value not in _YES_OR_NO for value in pooler):
        raise ConfigurationError("pooler in the database URL must be true or false")
    rest = urllib.parse.urlencode([field for field in fields if field[0] != "pooler"])
    return PostgresDatabase(f"{base}?{rest}" if rest else base, pooler=pooler == ["true"])
