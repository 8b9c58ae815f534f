"""Every route declares its policy, and the server enforces it. The tests cover all routes, not a sample."""

import dataclasses

import pytest
from msgspec import structs

from ostiary import Ostiary
from ostiary.core.plug import PAGE, Credential, Csrf, PerSource, Place, Route, Speaks
from ostiary.jose import strict_json
from ostiary.testing import world
from ostiary.verifier import cookie_names
from ostiary.web import with_own

AUTH = Ostiary(environ={})
ROUTES = with_own(AUTH.routes, settings=AUTH.settings, alone=True)
CROSS_SITE = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
NAMES = cookie_names(AUTH.settings.issuer)
COOKIES = {"cookie": f"{NAMES.access}=a.b.c; {NAMES.refresh}=x"}


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


def test_no_route_field_has_a_default():
    missing = dataclasses.MISSING
    assert [field.name for field in dataclasses.fields(Route) if field.default is not missing] == []


@pytest.mark.parametrize("forgotten", [field.name for field in dataclasses.fields(Route)])
def test_a_route_without_one_of_its_fields_raises_type_error(forgotten):
    whole = {field.name: getattr(AUTH.routes[0], field.name) for field in dataclasses.fields(Route)}
    del whole[forgotten]
    with pytest.raises(TypeError, match=forgotten):
        Route(**whole)


def test_only_get_routes_can_have_a_safe_policy():
    with pytest.raises(TypeError, match="GET"):
        dataclasses.replace(AUTH.routes[0], method="POST", policy=PAGE)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.credential is Credential.ACCESS], ids=named)
async def test_routes_that_require_an_access_token_reject_a_missing_or_invalid_token(route):
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
async def test_routes_that_read_cookies_reject_cross_site_requests(route):
    refused = await answer_to(route, **COOKIES, **CROSS_SITE)
    assert (refused.status_code, refused.json()["code"]) == (403, "cross_site_request")


WITH_BODY = [route for route in ROUTES if route.method != "GET"]
HOSTILE = b"[" + b"[]," * 21_000 + b"[]]"


@pytest.mark.parametrize("route", WITH_BODY, ids=named)
async def test_a_body_of_thousands_of_values_is_refused_on_every_route_before_it_is_parsed(route, monkeypatch):
    monkeypatch.setattr(strict_json, "_read", lambda _: pytest.fail("the body was parsed"))
    async with world(AUTH) as w:
        headers = {"content-type": "application/json"}
        refused = await w.http.request(route.method, place(route), content=HOSTILE, headers=headers)
    assert refused.status_code == 400
    assert refused.json()["error" if route.speaks is Speaks.OAUTH else "code"] in {"malformed_json", "invalid_request"}


@pytest.mark.parametrize("route", [route for route in ROUTES if isinstance(route.limit, PerSource)], ids=named)
async def test_the_limit_of_a_source_is_taken_before_the_body_is_read(route, monkeypatch):
    """A request that is refused anyway must not cost more: the body here is not even JSON."""

    async def exhausted(*_, **__):
        return 1_000_000

    async with world(AUTH) as w:
        monkeypatch.setattr(type(AUTH.ambient.hot), "take", exhausted)
        refused = await w.http.request(route.method, place(route), content=b"{", headers={"content-type": "text/plain"})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
