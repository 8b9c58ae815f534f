"""Backup and restore while processes have the database open, as an operator's tools do it."""

import sqlite3
from contextlib import closing
from urllib.parse import urlsplit

import asyncpg

from ostiary.store.open import sqlite_path


async def back_up(url: str) -> None:
    """Stores a copy of the current database next to it."""
    if (path := sqlite_path(url)) is not None:
        _copy(path, f"{path}.backup")
    else:
        await _copy_database(url, source=_name(url), target=_name(url) + "_backup")


async def restore(url: str) -> None:
    """Restores the copy of `back_up`. This can be repeated."""
    if (path := sqlite_path(url)) is not None:
        _copy(f"{path}.backup", path)
    else:
        await _copy_database(url, source=_name(url) + "_backup", target=_name(url))


def _copy(source: object, target: object) -> None:
    """Like ``.backup`` and ``.restore`` of the sqlite3 program: page by page, under the locks of a transaction."""
    with closing(sqlite3.connect(str(source))) as old, closing(sqlite3.connect(str(target), timeout=10)) as new:
        old.backup(new)


async def _copy_database(url: str, *, source: str, target: str) -> None:
    """Neither database may have connections during the copy. Existing clients are disconnected and reconnect."""
    admin = await asyncpg.connect(urlsplit(url)._replace(path="/postgres").geturl())
    try:
        for name in (source, target):
            if await admin.fetchval("select 1 from pg_database where datname = $1", name):
                await admin.execute(f"alter database {name} allow_connections false")
                await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name)
        await admin.execute(f"drop database if exists {target} with (force)")
        await admin.execute(f"create database {target} template {source}")
        await admin.execute(f"alter database {source} allow_connections true")
    finally:
        await admin.close()


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")
