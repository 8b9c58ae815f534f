"""Databases for these tests: on PostgreSQL one that all share, emptied for each, because making one takes long."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import argon2
import pytest

from tests.servers import PostgresServer


class CheapHasher(argon2.PasswordHasher):
    """argon2id all the same, with as little memory as it takes."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**{**parameters, "time_cost": 1, "memory_cost": 8, "parallelism": 1})


@pytest.fixture
def real_hashing() -> None:
    """For tests that are about what a password hash costs."""


@pytest.fixture(autouse=True)
def _cheap_hashing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_hashing" not in request.fixturenames:
        monkeypatch.setattr(argon2, "PasswordHasher", CheapHasher)


@pytest.fixture(scope="session")
def shared_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """For what can only be shown where transactions run at the same time."""
    yield postgres_server.create("core")
    postgres_server.start()
    postgres_server.drop("core")


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database for `tests.core.installation`: the test runs once on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    url: str = request.getfixturevalue("shared_postgres_url")
    return url
