"""`ostiary.testing.world`: every test has an isolated world that leaves nothing behind."""

import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from ostiary import Ostiary
from ostiary.errors import Unavailable
from ostiary.settings import MailSettings
from ostiary.testing.world import world


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """The folder for the files of worlds, so that a test can inspect it."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


async def test_login_as_returns_a_client_signed_in_with_the_role():
    auth = Ostiary("sqlite:///app.db", environ={})
    async with world(auth) as w:
        for role in ("user", "moderator", "admin"):
            client = await w.login_as(role=role)
            me = (await client.get("/auth/me")).json()
            assert role in me["roles"]
        named = await w.login_as(email="ada@example.com")
        assert (await named.get("/auth/me")).json()["account"]["email"] == "ada@example.com"
        assert (await w.http.get("/auth/me")).status_code == 401


async def test_more_users_than_the_sign_in_limit_can_be_created():
    async with world(Ostiary(environ={})) as w:
        assert len([await w.login_as() for _ in range(7)]) == 7


async def test_two_consecutive_worlds_are_isolated(folders):
    auth = Ostiary("sqlite:///app.db", environ={})
    async with world(auth) as first:
        client = await first.login_as(role="admin", email="ada@example.com")
        token = client.headers["authorization"]
        first.clock.advance(1000)
        kid = auth.ambient.keys.current.kid
    async with world(auth) as second:
        assert (await second.http.get("/auth/me", headers={"authorization": token})).status_code == 401
        assert auth.ambient.keys.current.kid != kid
        answer = await second.http.post("/auth/login", json={"email": "ada@example.com", "password": "x"})
        assert answer.status_code == 401
        assert second.clock.now() < first.clock.now()
        assert second.outbox.mails == []


async def test_nothing_is_left_on_disk_and_the_apps_database_is_not_touched(folders):
    async with world(Ostiary("sqlite:///app.db", environ={})) as w:
        await w.login_as()
        assert list((folders / "tmp").iterdir())
    assert list((folders / "tmp").iterdir()) == []
    assert list((folders / "work").iterdir()) == [], "neither app.db nor its secret"


async def test_the_configuration_of_the_app_is_not_used_and_is_restored_afterwards():
    """A test must not reach the app's real database server, counters, secret or mail."""
    configured = {
        "secret": "x2Yb7uXG0vq0O1Y5c7bZzq0J6m5wq1n8m3r9t4k2p6s",
        "hot": "valkey://127.0.0.1:1",
    }
    mail = MailSettings(smtp="smtp://127.0.0.1:1")
    auth = Ostiary("postgresql://nobody@127.0.0.1:1/nowhere", mail, environ={}, **configured)
    before = auth.settings
    async with world(auth) as w:
        await w.login_as()
        await w.http.post(
            "/auth/register", json={"email": "person1@example.com", "password": "a door for every porter"}
        )
        assert auth.settings.secret != before.secret
        await auth.ambient.mail.close()
        assert [mail.to for mail in w.outbox.mails] == ["person1@example.com"] * 2, "new device, taken address"
        assert w.outbox.to("person1@example.com") == w.outbox.mails
    assert auth.settings == before
    with pytest.raises(Unavailable):
        _ = auth.ambient


async def test_an_empty_database_can_be_passed_and_is_migrated(postgres_url):
    async with world(Ostiary(environ={}), database=postgres_url) as w:
        client = await w.login_as(role="admin")
        assert (await client.get("/auth/me")).status_code == 200


async def test_time_stands_still_until_it_is_advanced():
    async with world(Ostiary(environ={})) as w:
        client = await w.login_as()
        assert (await client.get("/auth/me")).status_code == 200
        w.clock.advance(900 + 30)
        assert (await client.get("/auth/me")).status_code == 401


async def test_a_world_of_an_open_installation_is_refused(folders):
    auth = Ostiary("sqlite:///app.db", environ={})
    async with auth.opened():
        with pytest.raises(RuntimeError, match="is open"):
            async with world(auth):
                pass
        assert auth.ambient


async def test_a_test_that_fails_leaves_nothing_open(folders):
    auth = Ostiary("sqlite:///app.db", environ={})
    with suppress(ZeroDivisionError):
        async with world(auth) as w:
            await w.login_as()
            raise ZeroDivisionError
    assert list((folders / "tmp").iterdir()) == []
    async with world(auth) as w:
        await w.login_as()


async def test_the_apps_lifespan_runs_in_a_world_and_its_state_reaches_requests():
    events = []

    @asynccontextmanager
    async def lifespan(_app):
        events.append("started")
        yield {"greeting": "hello"}
        events.append("stopped")

    async def greet(request):
        return JSONResponse(request.state.greeting)

    app = Starlette(routes=[Route("/greeting", greet)], lifespan=lifespan)
    auth = Ostiary(environ={})
    app.add_middleware(auth.middleware)
    for _ in range(2):
        async with world(auth, app) as w:
            client = await w.login_as()
            assert (await client.get("/greeting")).json() == "hello"
            assert (await client.get("/auth/me")).status_code == 200
    assert events == ["started", "stopped"] * 2


async def test_an_app_that_fails_to_start_raises_an_error():
    @asynccontextmanager
    async def lifespan(_app):
        raise LookupError("no table for two")
        yield

    auth = Ostiary(environ={})
    app = auth.middleware(Starlette(lifespan=lifespan))
    with pytest.raises(RuntimeError, match="no table for two"):
        async with world(auth, app):
            pass


async def test_an_app_without_a_lifespan_works_too():
    async def app(scope, receive, send):
        assert scope["type"] == "http", "the app does not support lifespan"
        await JSONResponse("here")(scope, receive, send)

    auth = Ostiary(environ={})
    for each in (app, auth.middleware(app)):
        async with world(auth, each) as w:
            assert (await w.http.get("/")).json() == "here"


async def test_the_files_of_a_world_are_readable_only_by_their_owner(folders):
    async with world(Ostiary(environ={})) as w:
        await w.login_as()
        files = [path for path in (folders / "tmp").rglob("*") if path.is_file()]
        assert files
        assert all(path.stat().st_mode & 0o077 == 0 for path in [*files, *(Path(f).parent for f in files)])
