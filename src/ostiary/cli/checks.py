"""The checks of `doctor`: do the database, the secret and the servers in the settings exist, and do they work?"""

import os
import urllib.parse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ostiary.app import Ostiary
from ostiary.cli.options import has_default_issuer
from ostiary.core.accounts.settings import RegistrationSettings
from ostiary.core.clock import MICROSECONDS, SystemClock
from ostiary.core.entropy import SystemRandom
from ostiary.core.issuer import refuse_another
from ostiary.core.mail import MailServerUnusable, MailSettings, SmtpTransport, probe, transport_from
from ostiary.core.secret import load_secrets, secret_path
from ostiary.core.settings import Settings
from ostiary.core.tokens.keys import queries
from ostiary.core.tokens.keys.model import PUBLISHED
from ostiary.core.tokens.keys.sealing import unseal
from ostiary.core.vault import Vault
from ostiary.errors import ConfigurationError, NoSuchTable, OstiaryError, StatementRefused
from ostiary.store.database import Database
from ostiary.store.open import database_from_url, hot_from_url, sqlite_path
from ostiary.store.sqlite.log import LARGE_LOG, log_size
from ostiary.verifier import LOOPBACK_HOSTS
from ostiary.web import WebSettings

MOST_OFFSET: Final = 1.0
"""The largest accepted difference in seconds between this machine's clock and the database's. With a larger one, tokens
become valid or expire too early or too late."""


@dataclass(frozen=True, slots=True)
class Check:
    """``ok`` with a ``warning``: it works, and only the operator knows whether it is intended."""

    name: str
    ok: bool
    detail: str
    warning: bool = False


async def run_checks(installation: Ostiary) -> list[Check]:
    """Runs the checks in order. Creates nothing: a check only reports what the first start will create."""
    settings = installation.settings
    return [
        _secret(settings),
        *await _database(installation),
        *_log(settings),
        *await _counters(settings),
        *await _mail(settings),
        *warnings(settings),
        *_origins(settings),
    ]


def warnings(settings: Settings) -> list[Check]:
    """What is unsafe in production. Only the operator knows whether it is intended, so it stops nothing."""
    if not settings.production:
        return []
    found = {}
    if not settings.of(WebSettings).trusted_proxies:
        found["proxies"] = "web.trusted_proxies is empty: behind a proxy, all callers share the same rate limits"
    if not settings.of(RegistrationSettings).require_verified_email:
        found["registration"] = (
            "registration.require_verified_email is off: anyone can find out which addresses have an account, "
            "and register the address of another person"
        )
    return [Check(name, ok=True, detail=detail, warning=True) for name, detail in found.items()]


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
            issuer = [] if has_default_issuer(installation) else await _issuer(installation.settings, database)
        waiting = await installation.pending()
    except OstiaryError as problem:
        return [Check("database", ok=False, detail=str(problem))]
    return [
        Check("database", ok=True, detail="reachable"),
        _migrations(waiting, automatic=path is not None),
        clock,
        *keys,
        *issuer,
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


async def _issuer(settings: Settings, database: Database) -> list[Check]:
    try:
        is_recorded = await refuse_another(database, settings.issuer)
    except ConfigurationError as problem:
        return [Check("issuer", ok=False, detail=str(problem))]
    except StatementRefused:
        return []  # reported by the check of the migrations
    return [Check("issuer", ok=True, detail=f"the database belongs to {settings.issuer}")] if is_recorded else []


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


def _log(settings: Settings) -> list[Check]:
    """Whether SQLite's write-ahead log grows, because a program never stops reading an old state of the database."""
    path = sqlite_path(settings.database)
    if path is None or (size := log_size(path)) == 0:
        return []
    detail = f"{size / 1e6:.1f} MB"
    if size >= LARGE_LOG:
        detail += ": another program holds a transaction open, so the log only grows. "
        detail += f"`fuser {path}` lists the programs"
    return [Check("write-ahead log", ok=size < LARGE_LOG, detail=detail)]


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
    """Whether the mail server takes our mails. Sends none."""
    transport = transport_from(settings.of(MailSettings))
    if not isinstance(transport, SmtpTransport):
        return []
    try:
        detail = await probe(transport)
    except MailServerUnusable as problem:
        return [Check("mail", ok=False, detail=str(problem))]
    if settings.production and transport.sender.endswith("@localhost"):
        detail += ". Set mail.sender: other mail servers refuse mails from localhost"
        return [Check("mail", ok=True, detail=detail, warning=True)]
    return [Check("mail", ok=True, detail=detail)]


def _origins(settings: Settings) -> list[Check]:
    """A hint: on another host, http protects neither tokens nor the scripts that use them."""
    plain = [each for each in settings.of(WebSettings).trusted_origins if _is_plain(each)]
    if not plain:
        return []
    detail = f"{', '.join(plain)} in web.trusted_origins uses http: anyone on the network can read its tokens"
    return [Check("origins", ok=True, detail=detail, warning=True)]


def _is_plain(origin: str) -> bool:
    url = urllib.parse.urlsplit(origin)
    return url.scheme == "http" and url.hostname not in LOOPBACK_HOSTS


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Database]:
    database = database_from_url(url)
    await database.open()
    try:
        yield database
    finally:
        await database.close()
