"""The FastAPI example, as a reader would run it, and guards as dependencies."""

import importlib.util
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from ostiary import Ostiary, Principal
from ostiary.errors import ConfigurationError
from ostiary.integrations.fastapi import Guard
from ostiary.testing.world import world

EXAMPLE = Path(__file__).parents[2] / "examples" / "fastapi_app.py"


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The module, imported in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("OSTIARY_DATABASE", "OSTIARY_ISSUER", "OSTIARY_PRODUCTION"):
        monkeypatch.delenv(name, raising=False)
    spec = importlib.util.spec_from_file_location("fastapi_app", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_importing_the_example_does_nothing(example, tmp_path):
    assert list(tmp_path.iterdir()) == []


async def test_the_example_admits_only_authorised_users(example):
    async with world(example.auth, example.app) as w:
        user, admin = await w.login_as(), await w.login_as(role="admin")
        nobody = await w.http.get("/api/profile")
        assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")
        garbage = await w.http.get("/api/profile", headers={"authorization": "Bearer nonsense"})
        assert garbage.status_code == 401
        assert garbage.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert (await user.get("/api/profile")).json() == {"id": (await user.get("/auth/me")).json()["account"]["id"]}
        refused = await user.post("/api/admin/users")
        assert refused.status_code == 403
        assert refused.json()["code"] == "forbidden"
        assert (await w.http.post("/api/admin/users")).status_code == 401
        assert (await admin.post("/api/admin/users")).status_code == 200


async def test_in_the_example_logout_takes_effect_at_once(example):
    async with world(example.auth, example.app) as w:
        user = await w.login_as()
        assert (await user.post("/auth/logout")).status_code == 204
        assert (await user.get("/api/profile")).status_code == 401


async def test_when_revocations_are_unknown_the_guard_returns_503(example):
    """Not 401: a client with a valid token must not be asked to sign in."""
    async with world(example.auth, example.app) as w:
        user = await w.login_as()
        example.auth._assembly._follower._progress.asked_at = float("-inf")
        example.auth._assembly._follower._database = None  # all reads fail from now on
        answer = await user.get("/api/profile")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"


async def test_before_ostiary_is_open_the_guard_returns_503():
    auth = Ostiary(environ={})
    app = FastAPI()  # the middleware is missing

    @app.get("/")
    async def profile(me: Annotated[Principal, Depends(Guard(auth)())]) -> str:
        return me.account_id

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http:
        answer = await http.get("/", headers={"authorization": "Bearer x"})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def guarded(auth):
    """An app with one route for each kind of requirement."""
    guard = Guard(auth)
    app = FastAPI()
    app.add_middleware(auth.middleware)
    asked = {
        "role": guard(role="moderator"),
        "roles": guard(role=("moderator", "admin")),
        "permission": guard(permission="users:write"),
        "scope": guard(scope="orders:read"),
        "aal": guard(aal=2),
        "fresh": guard(max_age=300),
        "nothing": guard(),
    }
    for name, dependency in asked.items():

        async def who(me: Annotated[Principal, Depends(dependency)]) -> str:
            return me.account_id

        app.get(f"/{name}")(who)

    @app.get("/optional")
    async def optional(me: Annotated[Principal | None, Depends(guard(optional=True))]) -> str | None:
        return me and me.account_id

    return app


async def test_every_requirement_returns_its_own_error():
    auth = Ostiary(environ={})
    async with world(auth, guarded(auth)) as w:
        user, moderator, admin = [await w.login_as(role=role) for role in ("user", "moderator", "admin")]
        found = {
            name: tuple([(await client.get(f"/{name}")).status_code for client in (w.http, user, moderator, admin)])
            for name in ("nothing", "role", "roles", "permission", "scope", "aal", "fresh", "optional")
        }
        assert found == {
            "nothing": (401, 200, 200, 200),
            "role": (401, 403, 200, 403),
            "roles": (401, 403, 200, 200),
            "permission": (401, 403, 403, 200),
            "scope": (401, 403, 403, 403),
            "aal": (401, 401, 401, 401),
            "fresh": (401, 200, 200, 200),
            "optional": (200, 200, 200, 200),
        }
        weak = await user.get("/aal")
        assert weak.headers["www-authenticate"] == (
            'Bearer error="insufficient_user_authentication", acr_values="urn:ostiary:aal:2"'
        )
        assert (await user.get("/scope")).headers["www-authenticate"] == (
            'Bearer error="insufficient_scope", scope="orders:read"'
        )
        w.clock.advance(301)
        stale = await user.get("/fresh")
        assert stale.status_code == 401
        assert 'max_age="300"' in stale.headers["www-authenticate"]
        assert (await w.http.get("/optional", headers={"authorization": "Bearer x"})).status_code == 401


async def test_a_requirement_that_could_never_hold_fails_when_the_route_is_made():
    guard = Guard(Ostiary(environ={}))
    for wrong in ({"role": ""}, {"role": ()}, {"aal": 3}, {"aal": 0}, {"max_age": -1}, {"scope": 'a"b'}, {"scope": ""}):
        with pytest.raises(ConfigurationError):
            guard(**wrong)
    with pytest.raises(TypeError):
        guard(rôle="admin")


async def test_headers_that_name_a_user_are_ignored():
    """P16."""
    auth = Ostiary(environ={})
    async with world(auth, guarded(auth)) as w:
        headers = {"x-user-id": "acc_1", "x_user_id": "acc_1", "remote-user": "acc_1", "x-roles": "admin"}
        assert (await w.http.get("/nothing", headers=headers)).status_code == 401
        user = await w.login_as()
        assert (await user.get("/permission", headers=headers)).status_code == 403


async def test_a_cookie_allows_reading_and_only_from_our_own_site_writing():
    """L16, J1: the guard's own defence against cross-site requests, in the app's routes."""
    auth = Ostiary(environ={})
    guard = Guard(auth)
    app = FastAPI()
    app.add_middleware(auth.middleware)

    @app.api_route("/thing", methods=["GET", "POST"])
    async def thing(me: Annotated[Principal, Depends(guard())]) -> str:
        return me.account_id

    async with world(auth, app) as w:
        user = await w.login_as()
        token = user.headers["authorization"].removeprefix("Bearer ")
        cookie = {"cookie": f"ostiary_dev_access={token}"}
        assert (await w.http.get("/thing", headers=cookie)).status_code == 200
        own = {"origin": "http://127.0.0.1:8000"}
        assert (await w.http.post("/thing", headers=cookie | own)).status_code == 200
        assert (await w.http.post("/thing", headers=cookie | {"sec-fetch-site": "same-origin"})).status_code == 200
        for headers in ({}, {"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
            answer = await w.http.post("/thing", headers=cookie | headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "cross_site_request")
        assert (await user.post("/thing")).status_code == 200, "the header needs no such check"
        both = await user.get("/thing", headers=cookie)
        assert (both.status_code, both.json()["code"]) == (400, "multiple_credentials")


async def test_the_apps_exception_handler_receives_refusals():
    auth = Ostiary(environ={})
    app = guarded(auth)

    @app.exception_handler(HTTPException)
    async def mine(_request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"mine": error.detail["code"]}, error.status_code, error.headers)

    async with world(auth, app) as w:
        answer = await w.http.get("/nothing")
        assert answer.json() == {"mine": "missing_credential"}
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_apps_openapi_document_has_a_security_scheme():
    app = guarded(Ostiary(environ={}))
    document = app.openapi()
    assert document["components"]["securitySchemes"]["Ostiary"]["scheme"] == "bearer"
    assert document["paths"]["/nothing"]["get"]["security"] == [{"Ostiary": []}]


async def test_the_app_keeps_its_own_lifespan_and_routes():
    """Ostiary opens before the app starts and closes after it has stopped."""
    auth = Ostiary(environ={})
    seen = []

    @asynccontextmanager
    async def lifespan(_app):
        seen.append(bool(auth.ambient))
        yield
        seen.append(bool(auth.ambient))

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(auth.middleware)

    @app.get("/healthz")
    async def healthz() -> str:
        return "the app's own"

    @app.get("/authors")
    async def authors() -> str:
        return "not ours"

    async with world(auth, app) as w:
        assert (await w.http.get("/healthz")).json() == "the app's own"
        assert (await w.http.get("/authors")).json() == "not ours", "/auth is a path segment, not a string prefix"
        assert (await w.http.get("/auth/nothing")).headers["content-type"] == "application/problem+json"
        assert (await w.http.get("/nothing")).json() == {"detail": "Not Found"}
        assert (await w.http.get("/.well-known/jwks.json")).status_code == 200
        assert (await w.http.get("/.well-known/security.txt")).json() == {"detail": "Not Found"}
    assert seen == [True, True]
