"""Signing keys that nobody changes but the test."""

import pytest

from ostiary.core.tokens.keys import keeper


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is done but by the test: what runs beside it only looks."""
    monkeypatch.setattr(keeper, "tend", lambda ambient: ambient.keys.refresh())
