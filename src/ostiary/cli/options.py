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
from ostiary.core.settings.load import DEFAULT
from ostiary.errors import ConfigurationError
from ostiary.store.open import sqlite_path

All = Annotated[bool, Parameter(name="--all", negative=())]
"""Applies a command to everything instead of to one named item."""


def check_one_or_all(one: str | None, *, all_of_them: bool) -> None:
    """Requires either a name or --all, so that a mistyped call never applies to everything.

    Raises:
        ConfigurationError: both or neither are given.
    """
    if (one is not None) is all_of_them:
        raise ConfigurationError("give either a name or --all")


def has_default_issuer(installation: Ostiary) -> bool:
    """Whether no issuer is configured."""
    return any(each.name == "issuer" and each.source == DEFAULT for each in installation.findings)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """cyclopts reads these fields as options: ``--database``, ``--config``, ``--json``."""

    database: str | None = None
    """The URL of the database: sqlite:///file.db or postgresql://user@host/name."""

    config: Path | None = None
    """A TOML file with settings. Default: ostiary.toml in the current folder, if it exists."""

    json: Annotated[bool, Parameter(negative=())] = False
    """Print JSON for programs."""

    def installation(self, **settings: Any) -> Ostiary:
        """The installation that these options, the environment and the file describe. Raises ConfigurationError."""
        installation = Ostiary(self.database, config=self._config(), **settings)
        return installation.with_any_issuer() if has_default_issuer(installation) else installation

    def loaded(self) -> Loaded:
        """The settings, valid or not. Raises ConfigurationError if a source cannot be read."""
        return read_settings({"database": self.database}, config=self._config())

    def _config(self) -> Path | ConfigFile:
        return self.config or ConfigFile.IF_PRESENT

    @asynccontextmanager
    async def existing(self) -> AsyncIterator[Doors[Any]]:
        """The API of an existing installation, acting as the operator. A lookup must not create a database by
        mistake."""
        async with self.installed() as installation:
            yield installation.acting_as(operator())

    @asynccontextmanager
    async def installed(self) -> AsyncIterator[Ostiary]:
        """An existing installation, opened. For commands that concern the whole installation."""
        async with self.present().opened() as installation:
            yield installation

    def present(self) -> Ostiary:
        """An existing installation, not opened yet. Raises ConfigurationError if there is no database."""
        installation = self.installation()
        path = sqlite_path(installation.settings.database)
        if path is not None and not path.exists():
            raise ConfigurationError(f"there is no database {path}: run `ostiary serve` or `ostiary migrate` first")
        return installation
