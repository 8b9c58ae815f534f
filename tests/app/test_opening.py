"""Opening and closing `Ostiary`: no side effects before, only once for several calls, nothing left afterwards."""

import asyncio
import sqlite3

import httpx
import pytest
from starlette.applications import Starlette

from ostiary import Ostiary
from ostiary.core.housekeeping import Housekeeper
from ostiary.core.tokens.keys.held import SigningKeys
from ostiary.errors import ConfigurationError, StoreUnavailable, Unavailable
from ostiary.settings import SessionSettings, SignInSettings
from ostiary.testing.lifespan import running
from ostiary.testing.world import FrozenClock

SECRET = "x2Yb7uXG0vq0O1Y5c7bZzq0J6m5wq1n8m3r9t4k2p6s"


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'app.db'}"


def client(app):
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000", trust_env=False)


async def test_constructing_and_assembling_does_nothing(tmp_path, url):
    auth = Ostiary(url, environ={})
    assert auth.asgi
    assert auth.middleware(Starlette())
    assert auth.openapi()["openapi"].startswith("3.1")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Unavailable):
        _ = auth.ambient
    with pytest.raises(Unavailable):
        auth.authenticate([], method="GET")


async def test_there_is_one_app_and_it_works_again_after_closing(url):
    auth = Ostiary(url, environ={})
    app = auth.asgi
    assert auth.asgi is app
    async with auth.opened(), client(auth.asgi) as http:
        assert (await http.get("/auth/me")).status_code == 401
        assert auth.asgi is app
    async with running(auth.asgi) as served, client(served) as http:
        assert (await http.get("/auth/me")).status_code == 401


async def test_it_can_be_opened_and_closed_again_and_keeps_its_keys(url):
    auth = Ostiary(url, environ={})
    kids = []
    for _ in range(2):
        async with auth.opened() as house:
            kids.append(house.ambient.keys.current.kid)
        with pytest.raises(Unavailable):
            _ = auth.ambient
    assert kids[0] == kids[1]
    await auth.close()


async def test_opening_twice_opens_nothing_more(url):
    """Otherwise there would be two writers and two feed readers, and the first would never be closed."""
    auth = Ostiary(url, environ={})
    await asyncio.gather(*(auth.open() for _ in range(5)))
    ambient = auth.ambient
    async with auth.opened() as same:
        assert same is auth
        assert same.ambient is ambient
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert names.count("ostiary-feed") == names.count("ostiary-mail") == names.count("ostiary-keys") == 1
    for _ in range(5):
        assert auth.ambient is ambient, "it stays open until it is closed as often as it was opened"
        await auth.close()
    with pytest.raises(Unavailable):
        _ = auth.ambient


async def test_without_a_lifespan_the_first_request_opens_it_once(url):
    auth = Ostiary(url, environ={})
    app = auth.asgi
    async with client(app) as http:
        answers = await asyncio.gather(*(http.get("/auth/me") for _ in range(10)))
        assert {answer.status_code for answer in answers} == {401}
        names = [task.get_name() for task in asyncio.all_tasks()]
        assert names.count("ostiary-feed") == 1
    await auth.close()


async def test_a_failure_leaves_nothing_behind_and_can_be_retried(tmp_path, url):
    path = tmp_path / "app.db"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    path.chmod(0o600)
    auth = Ostiary(url, secret=SECRET, environ={})
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="not an SQLite database"):
            await auth.open()
        assert asyncio.all_tasks() == {asyncio.current_task()}
    path.unlink()
    async with auth.opened():
        pass


async def test_a_failure_late_in_opening_closes_what_was_opened(url, monkeypatch):
    async def fails(_self):
        raise StoreUnavailable("gone")

    monkeypatch.setattr(SigningKeys, "refresh", fails)
    auth = Ostiary(url, environ={})
    with pytest.raises(StoreUnavailable):
        await auth.open()
    await asyncio.sleep(0)
    assert {task.get_name() for task in asyncio.all_tasks()}.isdisjoint({"ostiary-writer", "ostiary-mail"})


async def test_a_cancelled_opening_closes_what_it_opened(url):
    auth = Ostiary(url, environ={})
    opening = asyncio.create_task(auth.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    async with asyncio.timeout(10):
        while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - it closes in the background
            await asyncio.sleep(0.01)
    async with auth.opened():
        assert auth.ambient


async def test_without_a_database_our_paths_return_503_and_the_apps_paths_work(tmp_path):
    auth = Ostiary(f"sqlite:///{tmp_path / 'missing' / 'app.db'}", secret=SECRET, environ={})
    app = auth.middleware(Starlette())
    async with client(app) as http:
        answer = await http.get("/auth/me")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert str(tmp_path) not in answer.text
        assert (await http.get("/own")).status_code == 404


async def test_a_failed_start_is_reported_to_the_server_in_one_line(tmp_path):
    auth = Ostiary(f"sqlite:///{tmp_path / 'missing' / 'app.db'}", secret=SECRET, environ={})
    with pytest.raises(RuntimeError, match="cannot be created: No such file") as failed:
        async with running(auth.asgi):
            pass
    assert "\n" not in str(failed.value)


async def test_postgresql_without_migrations_is_refused_with_instructions(postgres_url):
    auth = Ostiary(postgres_url, secret=SECRET, environ={})
    with pytest.raises(ConfigurationError, match=r"not migrated \(\d+ pending\): run ostiary migrate"):
        await auth.open()
    assert await auth.pending() == await auth.migrate()
    assert await auth.pending() == []
    async with auth.opened():
        pass


async def test_four_installations_migrate_one_postgresql_concurrently(postgres_url):
    several = [Ostiary(postgres_url, secret=SECRET, environ={}) for _ in range(4)]
    applied = await asyncio.gather(*(auth.migrate() for auth in several))
    assert len({name for names in applied for name in names}) == sum(map(len, applied)), "each once"
    await asyncio.gather(*(auth.open() for auth in several))
    assert len({auth.ambient.keys.current.kid for auth in several}) == 1
    await asyncio.gather(*(auth.close() for auth in several))


async def test_postgresql_without_a_secret_is_refused():
    with pytest.raises(ConfigurationError, match="OSTIARY_SECRET is needed"):
        await Ostiary("postgresql://nobody@127.0.0.1:1/nowhere", environ={}).open()


async def test_the_error_of_an_unreachable_database_does_not_quote_its_password():
    auth = Ostiary("postgresql://me:hunter2@127.0.0.1:1/nowhere", secret=SECRET, environ={})
    with pytest.raises(StoreUnavailable) as refused:
        await auth.open()
    assert "hunter2" not in str(refused.value)


async def test_housekeeping_removes_expired_rows_everywhere(url):
    clock = FrozenClock()
    auth = Ostiary(url, SessionSettings(lifetime=60), SignInSettings(attempt_lifetime=60), environ={}, clock=clock)
    async with auth.opened() as house, client(auth.asgi) as http:
        body = {"email": "ada@example.com", "password": "seven purple umbrellas sing"}
        await http.post("/auth/register", json=body)
        answer = await http.post("/auth/login", json=body)
        refreshed = await http.post("/auth/refresh", json={"refresh_token": answer.json()["refresh_token"]})
        await http.post("/auth/logout", json={"refresh_token": refreshed.json()["refresh_token"]})
        clock.advance(2 * 86400)
        await house.ambient.database.execute("delete from store_lease")  # it may have been swept in the meantime
        assert await Housekeeper(house.ambient, auth._assembly.features).tidy()
        for table in ("sessions", "spent_refresh_tokens", "hot_rate"):
            assert await house.ambient.database.all(f"select * from {table}") == []
        kinds = {row[0] for row in await house.ambient.database.all("select kind from feed")}
        assert "session" not in kinds


async def test_closing_waits_for_running_requests_and_releases_the_file(tmp_path, url):
    auth = Ostiary(url, environ={})
    async with auth.opened(), client(auth.asgi) as http:
        body = {"email": "ada@example.com", "password": "seven purple umbrellas sing"}
        assert (await http.post("/auth/register", json=body)).status_code == 202
    with sqlite3.connect(tmp_path / "app.db") as connection:
        assert connection.execute("select count(*) from accounts").fetchone() == (1,)
    connection.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.db", "app.db.secret"], "the log was merged"
