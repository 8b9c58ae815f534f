"""Installations with several machines. Each server is a process of its own on 127.0.0.1."""

import itertools
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machines.load import SETTINGS
from tests.servers import PostgresServer

_numbers = itertools.count(1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where commands and servers run."""
    return tmp_path


@pytest.fixture
def environ(postgres_server: PostgresServer) -> Iterator[dict[str, str]]:
    """The settings of every server of an installation with an empty PostgreSQL database."""
    postgres_server.start()
    name = f"machines_{next(_numbers)}"
    yield settings(postgres_server.create(name))
    postgres_server.start()
    postgres_server.drop(name)


def settings(database: str) -> dict[str, str]:
    return {
        **SETTINGS,
        "OSTIARY_DATABASE": database,
        "OSTIARY_SECRET": secrets.token_urlsafe(32),
        "OSTIARY_ISSUER": "http://127.0.0.1:8000",
    }
