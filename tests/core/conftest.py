"""Databases for these tests: on PostgreSQL one that all share, emptied for each, because making one takes long."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import PostgresServer


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a file that is not there yet: for what is the same on either engine."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture(scope="session")
def _shared_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    yield postgres_server.create("core")
    postgres_server.start()
    postgres_server.drop("core")


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database for `tests.core.installation`: the test runs once on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    url: str = request.getfixturevalue("_shared_postgres_url")
    return url
