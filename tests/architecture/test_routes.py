"""Every route states its policy, and the policy is what happens: the whole table, not a sample."""

import dataclasses

import pytest
from msgspec import structs

from ostiary import Ostiary
from ostiary.core.plug import Credential, Csrf, Place, Route
from ostiary.testing import world
from ostiary.verifier import ACCESS_COOKIE, REFRESH_COOKIE
from ostiary.web import with_own

AUTH = Ostiary(environ={})
ROUTES = with_own(AUTH.routes, settings=AUTH.settings, alone=True)
CROSS_SITE = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
COOKIES = {"cookie": f"{ACCESS_COOKIE}=a.b.c; {REFRESH_COOKIE}=x"}


def named(route):
    return f"{route.method} {route.path}"


def place(route):
    prefix = AUTH.settings.prefix if route.place is Place.PREFIX else ""
    return prefix + route.path.replace("{", "").replace("}", "")


async def answer_to(route, **headers):
    async with world(AUTH) as w:
        required = [field.name for field in structs.fields(route.body) if field.required]
        body = {} if route.method == "GET" else {"json": dict.fromkeys(required, "x")}
        return await w.http.request(route.method, place(route), headers=headers, **body)


def test_nothing_of_a_route_has_a_default():
    missing = dataclasses.MISSING
    assert [field.name for field in dataclasses.fields(Route) if field.default is not missing] == []


@pytest.mark.parametrize("forgotten", [field.name for field in dataclasses.fields(Route)])
def test_a_route_that_forgets_something_cannot_be_made(forgotten):
    whole = {field.name: getattr(AUTH.routes[0], field.name) for field in dataclasses.fields(Route)}
    del whole[forgotten]
    with pytest.raises(TypeError, match=forgotten):
        Route(**whole)


def test_only_get_is_said_to_be_safe():
    with pytest.raises(TypeError, match="GET"):
        dataclasses.replace(AUTH.routes[0], csrf=Csrf.SAFE)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.credential is Credential.ACCESS], ids=named)
async def test_what_needs_an_access_token_is_refused_without_and_with_a_wrong_one(route):
    assert (await answer_to(route)).json()["code"] == "missing_credential"
    refused = await answer_to(route, authorization="Bearer a.b.c")
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")
    assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'


READ_BY_COOKIE = [
    route
    for route in ROUTES
    if route.csrf is Csrf.SAME_ORIGIN and route.credential not in {Credential.NONE, Credential.CLIENT}
]


@pytest.mark.parametrize("route", READ_BY_COOKIE, ids=named)
async def test_what_reads_cookies_refuses_them_from_another_site(route):
    refused = await answer_to(route, **COOKIES, **CROSS_SITE)
    assert (refused.status_code, refused.json()["code"]) == (403, "cross_site_request")
