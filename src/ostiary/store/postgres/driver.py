"""Imports asyncpg when a `PostgresDatabase` is created: an installation with SQLite does not need it."""

import functools
import importlib
from typing import Any

from ostiary.errors import ConfigurationError


@functools.cache
def asyncpg() -> Any:
    """The module. If it is missing, raises ConfigurationError that says how to install it."""
    try:
        return importlib.import_module("asyncpg")
    except ImportError:
        raise ConfigurationError("PostgreSQL needs asyncpg: pip install 'ostiary[postgres]'") from None
