"""Tests replace guards, and the OpenAPI document of an app lists what guards answer."""

import re
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI
from openapi_spec_validator import validate

from examples.fastapi_app import app as example_app
from examples.fastapi_app import auth as example_auth
from ostiary import Ostiary, Principal
from ostiary.integrations.fastapi import Guard
from ostiary.testing import world


def app_of(auth, **options):
    app, guard = FastAPI(), Guard(auth)
    app.add_middleware(auth.middleware)
    router = APIRouter(**options)

    @router.get("/admins")
    async def admins(me: Annotated[Principal | None, Depends(guard(role="admin"))]) -> str:
        return me.subject if me else "nobody"

    @router.get("/users")
    async def users(me: Annotated[Principal, Depends(guard())]) -> str:
        return me.subject

    app.include_router(router)
    return app


async def test_a_test_replaces_a_guard_by_making_it_again():
    auth = Ostiary(environ={})
    app, guard = app_of(auth), Guard(auth)
    app.dependency_overrides[guard(role="admin")] = lambda: None
    async with world(auth, app) as w:
        assert (await w.http.get("/admins")).json() == "nobody"
        assert (await w.http.get("/users")).status_code == 401, "only the guard with these arguments is replaced"
        app.dependency_overrides.clear()
        assert (await w.http.get("/admins")).status_code == 401


async def test_the_documented_way_to_replace_a_guard_works():
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
    exec(re.search(r"## Replace a guard.*?```python\n(.*?)```", page, re.DOTALL)[1], {})
    try:
        async with world(example_auth, example_app) as w:
            assert (await w.http.post("/api/admin/users")).json() == {"created_by": "acc_ada"}
            assert (await w.http.get("/api/profile")).status_code == 401
    finally:
        example_app.dependency_overrides.clear()


def test_guards_are_the_same_exactly_if_they_check_the_same():
    auth, other = Ostiary(environ={}), Ostiary(environ={})
    made = [
        Guard(who)(**asked)
        for who in (auth, other)
        for asked in (
            {}, {"role": "admin"}, {"role": ("admin", "user")}, {"permission": "users:read"}, {"scope": "a"},
            {"scope": "a b"}, {"aal": 1}, {"aal": 2}, {"max_age": 1}, {"optional": True},
        )
    ]  # fmt: skip
    assert len(set(made)) == len(made), "a test that replaces one must not open another"
    guard = Guard(auth)
    for one, same in (
        (guard(role="admin"), guard(role=("admin",))),
        (guard(role=("a", "b")), Guard(auth)(role=("b", "a"))),
        (guard(aal=2, max_age=5), guard(max_age=5, aal=2)),
    ):
        assert (one, hash(one)) == (same, hash(same))


async def test_the_same_guard_at_a_router_and_at_its_route_checks_once(monkeypatch):
    auth = Ostiary(environ={})
    asked = []
    original = auth.authenticate_async
    monkeypatch.setattr(auth, "authenticate_async", lambda *a, **b: asked.append(1) or original(*a, **b), raising=False)
    app = app_of(auth, dependencies=[Depends(Guard(auth)())])
    async with world(auth, app) as w:
        user = await w.login_as()
        assert (await user.get("/users")).status_code == 200
    assert asked == [1]


@pytest.mark.parametrize("listed", [True, False])
def test_the_openapi_document_lists_the_refusals_of_a_guard_that_the_router_names(listed):
    auth = Ostiary(environ={})
    document = app_of(auth, **({"responses": Guard(auth).responses} if listed else {})).openapi()
    validate(document)
    answers = document["paths"]["/users"]["get"]["responses"]
    assert set(answers) == ({"200", "400", "401", "403", "503"} if listed else {"200"})
    assert document["paths"]["/users"]["get"]["security"] == [{"Ostiary": []}]
    if listed:
        schema = answers["401"]["content"]["application/problem+json"]["schema"]
        assert schema["required"] == ["type", "title", "status", "code"]
