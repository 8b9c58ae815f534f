"""Options that every command has."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ostiary.api import Doors
from ostiary.app import Ostiary
from ostiary.app.slices import read_settings
from ostiary.cli.operator import operator
from ostiary.core.settings import ConfigFile, Loaded
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
    """cyclopts reads these fields as options: ``--database``, ``--config``, ``--json``."""

    database: str | None = None
    """Where the rows are: sqlite:///file.db or postgresql://user@host/name."""

    config: Path | None = None
    """A toml file with settings. By default ostiary.toml in the current folder, if there is one."""

    json: Annotated[bool, Parameter(negative=())] = False
    """Print JSON, for programs."""

    def installation(self, **settings: Any) -> Ostiary:
        """The installation that these options, the environment and the file describe. Raises ConfigurationError."""
        return Ostiary(self.database, config=self._config(), **settings)

    def loaded(self) -> Loaded:
        """Its settings, right or wrong. Raises ConfigurationError where a source cannot be read."""
        return read_settings({"database": self.database}, config=self._config())

    def _config(self) -> Path | ConfigFile:
        return self.config or ConfigFile.IF_PRESENT

    @asynccontextmanager
    async def existing(self) -> AsyncIterator[Doors[Any]]:
        """The API of an installation that exists already, in the operator's name: looking something up must not create
        a database by mistake."""
        async with self.installed() as installation:
            yield installation.acting_as(operator())

    @asynccontextmanager
    async def installed(self) -> AsyncIterator[Ostiary]:
        """The same for what concerns the whole installation."""
        async with self.present().opened() as installation:
            yield installation

    def present(self) -> Ostiary:
        """The same, not opened yet. Raises ConfigurationError where there is no database."""
        installation = self.installation()
        path = sqlite_path(installation.settings.database)
        if path is not None and not path.exists():
            raise ConfigurationError(f"there is no database {path}: run `ostiary serve` or `ostiary migrate` first")
        return installation
