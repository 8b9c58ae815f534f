"""Opening and closing: counted, on one live event loop, and never in a forked child process."""

import asyncio
import os
import threading
import warnings

import httpx
import pytest
from fastapi import Depends, FastAPI

from ostiary.errors import ConfigurationError, Unavailable
from ostiary.integrations.fastapi import Guard
from tests.core.installation import EMAIL, ISSUER, PASSWORD, ostiary

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it suggests another HTTP library, which makes no difference here
    from fastapi.testclient import TestClient


@pytest.fixture
def auth(sqlite_url):
    return ostiary(sqlite_url)


@pytest.fixture
def new(tmp_path):
    """An installation that no event loop has opened."""
    return ostiary(f"sqlite:///{tmp_path / 'new.db'}")


async def test_closing_one_of_two_openings_keeps_it_open(auth):
    async with auth.opened():
        async with auth.opened():
            pass
        assert await auth.roles.list()
        await auth.open()
        await auth.close()
        assert await auth.roles.list()
    with pytest.raises(Unavailable, match="not open"):
        await auth.roles.list()


async def test_it_can_be_opened_again_after_and_during_closing(auth):
    for _ in range(3):
        await auth.open()
        closing = asyncio.create_task(auth.close())
        await asyncio.sleep(0)
        async with auth.opened():
            assert await auth.roles.list()
        await closing


async def test_closing_more_often_than_opening_does_no_harm(auth):
    await auth.close()
    async with auth.opened():
        pass
    await auth.close()


def test_each_asyncio_run_opens_it_again(new):
    async def roles():
        async with new.opened():
            return len(await new.roles.list())

    assert [asyncio.run(roles()) for _ in range(3)] == [3, 3, 3]


def test_after_a_loop_that_ended_without_closing_it_can_be_opened_again(new):
    async def open_and_leave():
        await new.open()
        return len(await new.roles.list())

    assert [asyncio.run(open_and_leave()) for _ in range(3)] == [3, 3, 3]


def test_an_embedded_app_works_with_a_test_client_that_has_a_loop_for_each_request(new):
    """FastAPI's TestClient without ``with``: it must not answer 503 to everything after the first request."""
    app = FastAPI()
    app.add_middleware(new.middleware)
    guard = Guard(new)

    @app.get("/mine")
    async def mine(me=Depends(guard())):
        return {"id": me.account_id}

    client = TestClient(app, base_url=ISSUER)
    person = {"email": EMAIL, "password": PASSWORD}
    assert client.post("/auth/register", json=person).status_code == 202
    for _ in range(3):
        token = client.post("/auth/login", json=person).json()["access_token"]
        assert client.get("/mine", headers={"authorization": f"Bearer {token}"}).status_code == 200
        assert client.get("/auth/me", headers={"authorization": f"Bearer {token}"}).status_code == 200
    assert client.get("/mine").status_code == 401
    with TestClient(app, base_url=ISSUER) as within:
        assert within.post("/auth/login", json=person).status_code == 200
    assert client.post("/auth/login", json=person).status_code == 200


async def test_a_second_live_loop_is_refused_by_name(auth):
    async with auth.opened():
        failures = []

        def elsewhere():
            async def use():
                async with auth.opened():
                    pass

            try:
                asyncio.run(use())
            except Unavailable as problem:
                failures.append(str(problem))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
        (failure,) = failures
        assert "another event loop" in failure
        assert await auth.roles.list(), "the first loop still works"


def test_synchronous_callers_use_a_separate_loop(new):
    made = new.run(new.accounts.create(email=EMAIL, password=PASSWORD))
    assert new.run(new.accounts.get(made.id)) == made

    results = []
    threads = [threading.Thread(target=lambda: results.append(new.run(new.accounts.by_email(EMAIL)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [made] * 8
    with pytest.raises(LookupError):
        new.run(failing())
    new._thread.close()
    assert new.run(new.accounts.get(made.id)) == made, "it starts again"
    new._thread.close()


async def failing():
    raise LookupError


async def test_run_uses_the_loop_that_has_it_open_and_never_blocks_one(auth):
    async with auth.opened():
        assert len(await asyncio.to_thread(lambda: auth.run(auth.roles.list()))) == 3
        with pytest.raises(RuntimeError, match="await"):
            auth.run(auth.roles.list())


async def test_a_forked_child_is_refused(auth):
    async with auth.opened():
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                _ = auth.ambient
                os.write(writing, b"open")
            except Unavailable as problem:
                os.write(writing, str(problem).encode())
            finally:
                os._exit(0)
        os.close(writing)
        await asyncio.to_thread(os.waitpid, child, 0)
        assert b"forked while Ostiary was open" in os.read(reading, 1000)
        os.close(reading)
        assert await auth.roles.list()


async def test_scripts_run_no_housekeeping_and_servers_do(auth):
    def housekeepers():
        return [task for task in asyncio.all_tasks() if task.get_name() == "ostiary-housekeeping"]

    async with auth.opened():
        assert housekeepers() == []
        await auth.open()
        assert len(housekeepers()) == 1
        await auth.open()
        assert len(housekeepers()) == 1, "one for all openings"
        await auth.close()
        await auth.close()
    assert housekeepers() == []


async def test_requests_open_it_without_a_lifespan_and_a_script_does_not_close_it(auth):
    transport = httpx.ASGITransport(auth.asgi)
    async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
        assert (await http.get("/.well-known/jwks.json")).status_code == 200
        async with auth.opened():
            pass
        assert (await http.get("/.well-known/jwks.json")).status_code == 200
    await auth.close()


def test_many_threads_at_once_wait_for_one_opening(new):
    """A threaded Flask server: before, all but the first request failed."""
    results, start = [], threading.Barrier(8)

    def call():
        start.wait()
        results.append(len(new.run(new.roles.list())))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    new._thread.close()
    assert results == [3] * 8


async def test_a_call_on_a_second_live_loop_is_refused_before_it_writes(auth):
    """Before, it hung, although its write was committed."""
    failures = []

    def elsewhere():
        for call in (
            lambda: auth.accounts.create(email=EMAIL, password=PASSWORD),
            lambda: auth.roles.list(),
            lambda: auth.sessions.end_everybodys(),
        ):
            try:
                asyncio.run(call())
            except Unavailable as problem:
                failures.append(str(problem))

    async with auth.opened():
        await asyncio.to_thread(elsewhere)
        assert len(failures) == 3
        assert all("another event loop" in failure for failure in failures)
        assert (await auth.accounts.list()).items == ()


def test_a_coroutine_that_cannot_be_run_is_closed(tmp_path):
    broken = ostiary(f"sqlite:///{tmp_path / 'nowhere' / 'x.db'}")
    coroutine = broken.roles.list()
    with pytest.raises(ConfigurationError):
        broken.run(coroutine)
    assert coroutine.cr_frame is None, "closed, so that Python does not warn about it"
    broken._thread.close()
