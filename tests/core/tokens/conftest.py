"""A fixture for signing keys that only the test changes."""

import pytest

from ostiary.core.tokens.keys import keeper


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the test carries out key steps. Background tasks only read the keys."""
    monkeypatch.setattr(keeper, "tend", lambda ambient: ambient.keys.refresh())
