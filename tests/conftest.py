"""Test setup: each coroutine test has its own event loop, databases are real, and nothing is left behind."""

import asyncio
import functools
import inspect
import itertools
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.servers import PostgresServer, ValkeyServer, memory_folder

_numbers = itertools.count(1)


LONGEST_ID: Final = 40  # characters


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names a long text after its argument. The text says little, and if it contains a key, it differs per process."""
    return argname if isinstance(val, str | bytes) and len(val) > LONGEST_ID else None


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs ``async def`` tests. Leaves all other tests to pytest."""
    test = pyfuncitem.obj
    if (given := getattr(test, "hypothesis", None)) is not None:
        if inspect.iscoroutinefunction(given.inner_test):
            given.inner_test = _synchronous(given.inner_test)
        return None
    if not inspect.iscoroutinefunction(test):
        return None
    names = inspect.signature(test).parameters
    _synchronous(test)(**{name: pyfuncitem.funcargs[name] for name in names})
    return True


def _synchronous(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(debug=False) as runner:
            runner.run(_leaving_nothing(test(*args, **kwargs)))

    return run


async def _leaving_nothing(test: Awaitable[None]) -> None:
    """Fails a test that passed but left tasks running or errors that only the event loop received."""
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    await test
    await asyncio.sleep(0)  # a task that was cancelled or is about to return needs one loop iteration to end
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"the test left tasks behind: {left}"
    assert not unhandled, f"the event loop received errors: {unhandled}"


@pytest.fixture
def unstated() -> Iterator[list[str]]:
    """Collects requests that this test saw rejected with an error that the route does not declare."""
    said: list[str] = []

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if hasattr(record, "mistake"):
                said.append(str(getattr(record, "reason", "")))

    handler, logger = Heard(), logging.getLogger("ostiary.web")
    logger.addHandler(handler)
    yield said
    logger.removeHandler(handler)


@pytest.fixture(autouse=True)
def _every_refusal_is_stated(unstated: list[str]) -> Iterator[None]:
    """Every error that occurs in a test is declared by its route, so that the OpenAPI document is complete."""
    yield
    assert unstated == []


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for the test run. If a test stops it, it is started again for the next test."""
    server = PostgresServer(parent=memory_folder())
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty PostgreSQL database that only this test uses."""
    name = f"test_{next(_numbers)}"
    postgres_server.start()
    yield postgres_server.create(name)
    postgres_server.start()
    postgres_server.drop(name)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """One Valkey for the test run. If a test stops it, it is started again for the next test."""
    server = ValkeyServer()
    yield server
    server.close()


@pytest.fixture
def valkey_url(valkey_server: ValkeyServer) -> str:
    """The URL of an empty Valkey."""
    valkey_server.start()
    valkey_server.flush()
    return valkey_server.url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite file that does not exist yet, for tests that do not depend on the engine."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def own_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database that only this test uses. The test runs once on each engine."""
    return _url_of(request, postgres="postgres_url")


@pytest.fixture(scope="session")
def shared_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """One database for all tests that start with `tests.core.installation.prepare`, because creating one is slow."""
    yield postgres_server.create("shared")
    postgres_server.start()
    postgres_server.drop("shared")


@pytest.fixture(params=["sqlite", "postgres"])
def shared_url(request: pytest.FixtureRequest) -> str:
    """Like `own_url`, but with the shared database on PostgreSQL."""
    return _url_of(request, postgres="shared_postgres_url")


@pytest.fixture
def database_url(own_url: str) -> str:
    """The default database. Folders whose tests prepare their database override this with the shared one."""
    return own_url


def _url_of(request: pytest.FixtureRequest, *, postgres: str) -> str:
    url: str = request.getfixturevalue(postgres if request.param == "postgres" else "sqlite_url")
    return url
