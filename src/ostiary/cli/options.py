"""What every command takes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ostiary.app import Ostiary
from ostiary.core.plug import Ambient
from ostiary.errors import ConfigurationError
from ostiary.store.open import sqlite_path

All = Annotated[bool, Parameter(name="--all", negative=())]
"""In the place of the one that a command is about."""


def check_one_or_all(one: str | None, *, all_of_them: bool) -> None:
    """A call with a name too few, or one too many, must not be taken for all.

    Raises:
        ConfigurationError: neither is given, or both.
    """
    if (one is not None) is all_of_them:
        raise ConfigurationError("name one, or give --all; not both, and not neither")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Read by cyclopts as options of their own: ``--database``, ``--config``, ``--json``."""

    database: str | None = None
    """Where the rows are: sqlite:///file.db or postgresql://user@host/name."""

    config: Path | None = None
    """A toml file with settings."""

    json: Annotated[bool, Parameter(negative=())] = False
    """Print JSON, for programs."""

    def installation(self, **settings: Any) -> Ostiary:
        """The installation that these options, the environment and the file describe. Raises ConfigurationError."""
        return Ostiary(self.database, config=self.config, **settings)

    @asynccontextmanager
    async def existing(self) -> AsyncIterator[Ambient]:
        """Opens an installation that is there already: to look something up must not make a database by mistake."""
        async with self.installed() as installation:
            yield installation.ambient

    @asynccontextmanager
    async def installed(self) -> AsyncIterator[Ostiary]:
        """The same, for what concerns all of the installation."""
        installation = self.present()
        async with installation.opened():
            yield installation

    def present(self) -> Ostiary:
        """The same, not yet opened."""
        installation = self.installation()
        path = sqlite_path(installation.settings.database)
        if path is not None and not path.exists():
            raise ConfigurationError(
                f"there is no database {path}: start it with `ostiary serve`, or make it with `ostiary migrate`"
            )
        return installation
