"""A database of the test's own: what is done to the keys would be seen by all tests that share one."""

from pathlib import Path

import pytest

from ostiary.core.tokens.keys import keeper


@pytest.fixture(params=["sqlite", "postgres"])
def own_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'own.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def own_sqlite_url(tmp_path: Path) -> str:
    """For what the engine has no part in."""
    return f"sqlite:///{tmp_path / 'own.db'}"


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is done but by the test: what runs beside it only looks."""
    monkeypatch.setattr(keeper, "tend", lambda ambient: ambient.keys.refresh())
