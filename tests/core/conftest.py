"""A database that is prepared by `tests.core.installation`, and hashes that cost little."""

from typing import Any

import argon2
import pytest


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


@pytest.fixture
def database_url(shared_url: str) -> str:
    return shared_url
