"""A database that is prepared by `tests.core.installation`."""

import pytest


@pytest.fixture
def database_url(shared_url: str) -> str:
    return shared_url
