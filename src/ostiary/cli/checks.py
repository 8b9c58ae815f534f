"""The checks of `doctor`: do the database, the secret and the servers in the settings exist, and do they work?"""

import asyncio
import os
import urllib.parse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ostiary.app import Ostiary
from ostiary.core.clock import MICROSECONDS, SystemClock
from ostiary.core.entropy import SystemRandom
from ostiary.core.mail import MailSettings
from ostiary.core.secret import load_secrets, secret_path
from ostiary.core.settings import Settings
from ostiary.core.tokens.keys import queries
from ostiary.core.tokens.keys.model import PUBLISHED
from ostiary.core.tokens.keys.sealing import unseal
from ostiary.core.vault import Vault
from ostiary.errors import ConfigurationError, NoSuchTable, OstiaryError
from ostiary.store.database import Database
from ostiary.store.open import database_from_url, hot_from_url, sqlite_path
from ostiary.verifier import LOOPBACK_HOSTS
from ostiary.web import WebSettings

MOST_OFFSET: Final = 1.0
"""The largest accepted difference in seconds between this machine's clock and the database's. With a larger one, tokens
become valid or expire too early or too late."""

_MAIL_SECONDS: Final = 5.0
_MAIL_PORTS: Final = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    ok: bool
    detail: str


async def run_checks(installation: Ostiary) -> list[Check]:
    """Runs the checks in order. Creates nothing: a check only reports what the first start will create."""
    settings = installation.settings
    return [
        _secret(settings),
        *await _database(installation),
        *await _counters(settings),
        *await _mail(settings),
        *_proxies(settings),
        *_origins(settings),
    ]


def one_source(settings: Settings) -> str | None:
    """Warns of a problem that causes no error: behind a proxy that the settings do not name, one caller can use up the
    rate limits of all. None if that cannot happen."""
    if not settings.production or settings.of(WebSettings).trusted_proxies:
        return None
    return "web.trusted_proxies is empty: behind a proxy, all callers share the same rate limits"


def _secret(settings: Settings) -> Check:
    path = sqlite_path(settings.database)
    if settings.secret is None and path is not None and not path.exists() and not secret_path(path).exists():
        return Check("secret", ok=True, detail=f"{secret_path(path)} will be created at the first start")
    try:
        secrets = load_secrets(settings.secret, database_path=path)
    except OstiaryError as problem:
        return Check("secret", ok=False, detail=str(problem))
    if settings.secret is None and path is not None:
        return Check("secret", ok=True, detail=f"{secret_path(path)}, readable only by its owner")
    return Check("secret", ok=True, detail=f"{len(secrets)} configured, the newest one seals new data")


async def _database(installation: Ostiary) -> list[Check]:
    url = installation.settings.database
    path = sqlite_path(url)
    if path is not None and (obstacle := _obstacle(path)):
        return [Check("database", ok=False, detail=obstacle)]
    if path is not None and not path.exists():
        return [Check("database", ok=True, detail=f"{path} will be created at the first start")]
    try:
        async with _opened(url) as database:
            clock = await _clock(database)
            keys = await _keys(installation.settings, database)
        waiting = await installation.pending()
    except OstiaryError as problem:
        return [Check("database", ok=False, detail=str(problem))]
    return [
        Check("database", ok=True, detail="reachable"),
        _migrations(waiting, automatic=path is not None),
        clock,
        *keys,
    ]


def _obstacle(path: Path) -> str | None:
    """Why an SQLite database at this path is not writable, or None. Its journal is created in the same folder."""
    folder = path.absolute().parent
    if not folder.is_dir():
        return f"the folder {path.parent} does not exist"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the folder {path.parent} is not writable"
    return f"{path} is not writable" if path.exists() and not os.access(path, os.W_OK) else None


async def _keys(settings: Settings, database: Database) -> list[Check]:
    """Unseals the signing keys, as a server does when it starts: a valid secret may not be the one that sealed them."""
    try:
        secrets = load_secrets(settings.secret, database_path=sqlite_path(settings.database))
        published = [key for key in await queries.every(database) if key.state in PUBLISHED]
    except (ConfigurationError, NoSuchTable):
        return []  # reported by the check of the secret or of the migrations
    vault = Vault(secrets, random=SystemRandom())
    try:
        for key in published:
            unseal(vault, key)
    except ConfigurationError as problem:
        return [Check("keys", ok=False, detail=str(problem))]
    return [Check("keys", ok=True, detail=f"{len(published)} unsealed with the secret")] if published else []


def _migrations(waiting: list[str], *, automatic: bool) -> Check:
    if not waiting:
        return Check("migrations", ok=True, detail="all applied")
    what = "applied at the next start" if automatic else "run ostiary migrate"
    return Check("migrations", ok=automatic, detail=f"{len(waiting)} pending: {what}")


async def _clock(database: Database) -> Check:
    clock = SystemClock()
    before = clock.now()
    theirs = await database.now()
    # the database read its clock between the request and the response: assume halfway
    offset = abs(theirs - (before + clock.now()) // 2) / MICROSECONDS
    return Check("clock", ok=offset <= MOST_OFFSET, detail=f"{offset:.3f} s off the database clock")


async def _counters(settings: Settings) -> list[Check]:
    if settings.hot is None:
        return []
    hot = hot_from_url(settings.hot)
    try:
        await hot.open()
    except OstiaryError as problem:
        return [Check("counters", ok=False, detail=str(problem))]
    await hot.close()
    return [Check("counters", ok=True, detail="reachable")]


async def _mail(settings: Settings) -> list[Check]:
    """Whether the mail server accepts connections. Sends no mail and uses no password."""
    smtp = settings.of(MailSettings).smtp
    if smtp is None:
        return []
    url = urllib.parse.urlsplit(smtp.reveal())
    host, port = url.hostname, url.port or _MAIL_PORTS[url.scheme]
    try:
        async with asyncio.timeout(_MAIL_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except OSError as problem:
        return [Check("mail", ok=False, detail=f"{host}:{port}: {_reason(problem)}")]
    writer.close()
    return [Check("mail", ok=True, detail=f"{host}:{port} accepts connections")]


def _proxies(settings: Settings) -> list[Check]:
    """A hint, not an error: only the operator knows whether there is a proxy."""
    told = one_source(settings)
    return [Check("proxies", ok=True, detail=told)] if told else []


def _origins(settings: Settings) -> list[Check]:
    """A hint: on another host, http protects neither tokens nor the scripts that use them."""
    plain = [each for each in settings.of(WebSettings).trusted_origins if _is_plain(each)]
    if not plain:
        return []
    detail = f"{', '.join(plain)} in web.trusted_origins uses http: anyone on the network can read its tokens"
    return [Check("origins", ok=True, detail=detail)]


def _is_plain(origin: str) -> bool:
    url = urllib.parse.urlsplit(origin)
    return url.scheme == "http" and url.hostname not in LOOPBACK_HOSTS


def _reason(problem: OSError) -> str:
    if isinstance(problem, TimeoutError):
        return "no answer"
    if isinstance(problem, ConnectionError) and problem.errno:
        return os.strerror(problem.errno)  # asyncio puts the address into strerror instead
    return problem.strerror or str(problem)


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Database]:
    database = database_from_url(url)
    await database.open()
    try:
        yield database
    finally:
        await database.close()
