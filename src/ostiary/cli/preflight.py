"""Tries everything that `serve` needs before any worker starts, so that a failure is one line on stderr."""

import stat
from dataclasses import dataclass
from pathlib import Path

from ostiary.app import Ostiary
from ostiary.cli.address import Address
from ostiary.core.secret import secret_path
from ostiary.core.settings import Settings
from ostiary.store.open import sqlite_path


@dataclass(frozen=True, slots=True)
class Part:
    """A file, and whether it was just created."""

    path: Path
    made: bool

    @property
    def mode(self) -> int:
        return stat.S_IMODE(self.path.stat().st_mode)


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """What was found or created.

    ``database`` is None for a database server. ``secret`` is None if the setting contains the secret.
    """

    settings: Settings
    address: Address
    algorithm: str
    database: Part | None
    secret: Part | None


async def prepare(installation: Ostiary, address: Address) -> Readiness:
    """Opens and closes the installation once, which creates its files and tables.

    The port is checked first, so that a refused start leaves nothing behind.

    Raises:
        ConfigurationError, StoreUnavailable: the message is one line that says what is wrong.
    """
    address.check_free()
    settings = installation.settings
    path = sqlite_path(settings.database)
    secret = secret_path(path) if path is not None and settings.secret is None else None
    there = {part for part in (path, secret) if part is not None and part.exists()}
    async with installation.opened():
        algorithm = installation.ambient.keys.current.alg
    return Readiness(
        settings=settings,
        address=address,
        algorithm=algorithm,
        database=Part(path, made=path not in there) if path else None,
        secret=Part(secret, made=secret not in there) if secret else None,
    )
