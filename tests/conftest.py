"""How tests run here: coroutines in a loop of their own, databases real, nothing left behind."""

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
    """Names a long text by its argument: it says little, and where a key is in it, each process has another name."""
    return argname if isinstance(val, str | bytes) and len(val) > LONGEST_ID else None


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs ``async def`` tests; leaves all others to pytest."""
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
    """Fails a test that passed but left tasks running, or errors that only the loop was told of."""
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    await test
    await asyncio.sleep(0)  # a task that was cancelled, or is about to return, needs one turn to end
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"the test left tasks behind: {left}"
    assert not unhandled, f"the loop was told of errors: {unhandled}"


@pytest.fixture
def unstated() -> Iterator[list[str]]:
    """What was refused in this test with an error that its route does not state."""
    said: list[str] = []

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "not stated by the route" in record.msg:
                said.append(record.getMessage())

    handler, logger = Heard(), logging.getLogger("ostiary.web")
    logger.addHandler(handler)
    yield said
    logger.removeHandler(handler)


@pytest.fixture(autouse=True)
def _every_refusal_is_stated(unstated: list[str]) -> Iterator[None]:
    """The document that callers rely on tells of every refusal that any test meets."""
    yield
    assert unstated == []


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for the test run. A test may stop it; it is started again for the next one."""
    server = PostgresServer(parent=memory_folder())
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of this test's own."""
    name = f"test_{next(_numbers)}"
    postgres_server.start()
    yield postgres_server.create(name)
    postgres_server.start()
    postgres_server.drop(name)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """One Valkey for the test run. A test may stop it; it is started again for the next one."""
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
    """The URL of a file that is not there yet: for what is the same on either engine."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def own_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of this test's own: the test runs once on each engine."""
    return _url_of(request, postgres="postgres_url")


@pytest.fixture(scope="session")
def shared_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """One database for all tests that begin with `tests.core.installation.prepare`: making one takes long."""
    yield postgres_server.create("shared")
    postgres_server.start()
    postgres_server.drop("shared")


@pytest.fixture(params=["sqlite", "postgres"])
def shared_url(request: pytest.FixtureRequest) -> str:
    """As `own_url`, but on PostgreSQL the one that is shared."""
    return _url_of(request, postgres="shared_postgres_url")


@pytest.fixture
def database_url(own_url: str) -> str:
    """What a test runs on that does not care; folders whose tests prepare their database have it be the shared one."""
    return own_url


def _url_of(request: pytest.FixtureRequest, *, postgres: str) -> str:
    url: str = request.getfixturevalue(postgres if request.param == "postgres" else "sqlite_url")
    return url
