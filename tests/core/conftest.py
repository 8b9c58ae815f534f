"""A database prepared by `tests.core.installation`, and cheap password hashes."""

from typing import Any

import argon2
import pytest


class CheapHasher(argon2.PasswordHasher):
    """argon2id with the smallest possible amount of memory."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**{**parameters, "time_cost": 1, "memory_cost": 8, "parallelism": 1})


@pytest.fixture
def real_hashing() -> None:
    """For tests about the cost of password hashes."""


@pytest.fixture(autouse=True)
def _cheap_hashing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_hashing" not in request.fixturenames:
        monkeypatch.setattr(argon2, "PasswordHasher", CheapHasher)


@pytest.fixture
def database_url(shared_url: str) -> str:
    return shared_url
