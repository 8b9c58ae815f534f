"""asyncpg, imported when a `PostgresDatabase` is made: an installation on SQLite neither needs nor loads it."""

import functools
import importlib
from typing import Any

from ostiary.errors import ConfigurationError


@functools.cache
def asyncpg() -> Any:
    """The module, or ConfigurationError with the way to get it."""
    try:
        return importlib.import_module("asyncpg")
    except ImportError:
        raise ConfigurationError("PostgreSQL needs asyncpg: pip install 'ostiary[postgres]'") from None
