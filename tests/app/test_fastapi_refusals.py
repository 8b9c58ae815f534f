"""A guard refuses as `/auth/*` does: the problem itself, and one line in the log that says why."""

import json
import logging

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from ostiary import Ostiary, TokenAuthenticator
from ostiary.errors import NotFound, OstiaryError
from ostiary.integrations.fastapi import Guard, GuardRefused
from ostiary.testing import world
from tests.logged import written

SIGNS = ("content-type", "www-authenticate", "cache-control", "retry-after")


def app_of(auth, **options):
    app, guard = FastAPI(**options), Guard(auth)
    app.add_middleware(auth.middleware)
    router = APIRouter(prefix="/routed")

    @app.get("/mine")
    @router.get("/mine")
    async def mine(me=Depends(guard())):
        return {"id": me.account_id}

    @app.get("/admins/{name}", dependencies=[Depends(guard(role="admin"))])
    async def admins(name: str):
        return name

    @app.get("/teapot")
    async def teapot():
        raise HTTPException(418, "short and stout")

    app.include_router(router)
    inner = FastAPI()
    inner.get("/mine")(mine)
    app.mount("/inner", inner)
    return app


def shape(answer):
    return answer.status_code, answer.json(), {name: answer.headers.get(name) for name in SIGNS}


@pytest.mark.parametrize("path", ["/mine", "/routed/mine", "/inner/mine"])
async def test_a_guard_answers_exactly_as_our_own_routes_do(path):
    auth = Ostiary(environ={})
    async with world(auth, app_of(auth)) as w:
        for headers in ({}, {"authorization": "Bearer junk"}, {"authorization": "Bearer"}):
            answers = [await w.http.get(asked, headers=headers) for asked in (path, "/auth/me")]
            assert shape(answers[0]) == shape(answers[1])
            assert answers[0].headers["content-type"] == "application/problem+json"
        user = await w.login_as()
        forbidden = await user.get("/admins/ada")
        assert (forbidden.status_code, forbidden.json()["code"]) == (403, "forbidden")
        assert forbidden.headers["content-type"] == "application/problem+json"
        assert (await w.http.get("/teapot")).json() == {"detail": "short and stout"}
        assert (await user.get(path)).status_code == 200


async def test_a_service_without_our_middleware_answers_the_same():
    auth = Ostiary(environ={})
    async with world(auth):
        app = FastAPI()
        guard = Guard(TokenAuthenticator(auth._assembly.verifier))

        @app.get("/mine")
        async def mine(me=Depends(guard())):
            return me.subject

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http:
            answer = await http.get("/mine")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "missing_credential"


@pytest.mark.parametrize("registered", [HTTPException, GuardRefused, 401])
async def test_a_handler_of_the_app_keeps_its_say(registered):
    auth = Ostiary(environ={})
    app = app_of(auth)

    @app.exception_handler(registered)
    async def own(_request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"own": error.detail["code"]}, error.status_code, error.headers)

    async with world(auth, app) as w:
        assert (await w.http.get("/mine")).json() == {"own": "missing_credential"}


async def test_an_app_with_its_own_handler_for_our_errors_answers_errors_of_the_python_api():
    auth = Ostiary(environ={})
    app, guard = FastAPI(), Guard(auth)
    app.add_middleware(auth.middleware)

    @app.get("/people/{account_id}")
    async def show(account_id: str, me=Depends(guard())):
        return (await auth.accounts.get(account_id)).email

    @app.exception_handler(OstiaryError)
    async def own(_request: Request, error: OstiaryError) -> JSONResponse:
        return JSONResponse({"own": error.code}, error.status)

    async with world(auth, app) as w:
        user = await w.login_as()
        assert (await user.get("/people/acc_x")).json() == {"own": "not_found"}
        assert (await w.http.get("/people/acc_x")).json()["code"] == "missing_credential"


async def test_the_log_of_the_service_tells_refusals_apart_in_one_line_each(caplog):
    auth = Ostiary(environ={})
    async with world(auth, app_of(auth)) as w:
        user = await w.login_as()
        caplog.set_level(logging.INFO, logger="ostiary.guard")
        await w.http.get("/mine")
        await w.http.get("/mine", headers={"authorization": "Bearer junk"})
        await user.get("/admins/secret-in-a-path")
        w.clock.advance(16 * 60)
        await user.get("/mine")
        said = [json.loads(line) for line in written(caplog, logger="ostiary.guard").splitlines()]
    assert {line["event"] for line in said} == {"guard.refused"}
    assert [line["reason"] for line in said] == ["missing_credential", "malformed_token", "forbidden", "token_expired"]
    assert said[2]["path"] == "/admins/{name}"
    token = user.headers["authorization"].removeprefix("Bearer ")
    assert all(secret not in written(caplog) for secret in (token, "secret-in-a-path"))


async def test_an_error_of_the_python_api_in_a_guarded_route_is_answered_as_a_problem(caplog):
    auth = Ostiary(environ={})
    app, guard = FastAPI(), Guard(auth)
    app.add_middleware(auth.middleware)

    @app.post("/people/{account_id}/disable")
    async def disable(account_id: str, me=Depends(guard())):
        await auth.acting_as(me).accounts.disable(account_id)

    @app.get("/people/{account_id}")
    async def show(account_id: str, me=Depends(guard())):
        return (await auth.accounts.get(account_id)).email

    async with world(auth, app) as w:
        user, admin = await w.login_as(), await w.login_as(role="admin")
        caplog.set_level(logging.INFO, logger="ostiary.guard")
        forbidden = await user.post("/people/acc_x/disable")
        assert (forbidden.status_code, forbidden.json()["code"]) == (403, "forbidden")
        for nobody in ("acc_x", "%00", "%ed%a0%80"):
            for answer in (await admin.post(f"/people/{nobody}/disable"), await user.get(f"/people/{nobody}")):
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
                assert answer.headers["content-type"] == "application/problem+json"
        mistyped = user.headers["authorization"].removeprefix("Bearer ")
        assert (await user.get(f"/people/{mistyped}")).status_code == 404
        said = [json.loads(line) for line in written(caplog, logger="ostiary.guard").splitlines()]
    assert {(line["event"], line["reason"]) for line in said} == {
        ("request.refused", "forbidden"), ("request.refused", "not_found"),
    }  # fmt: skip
    assert len(said) == 8
    assert mistyped not in written(caplog)


async def test_a_route_without_a_guard_answers_the_same_before_and_after_a_guarded_request():
    auth = Ostiary(environ={})
    app = app_of(auth)

    @app.get("/open")
    async def unguarded():
        return await auth.accounts.get("acc_nobody")

    async with world(auth, app) as w:
        for _ in range(2):
            with pytest.raises(NotFound):  # httpx passes on what the app does not answer
                await w.http.get("/open")
            await w.http.get("/mine")
