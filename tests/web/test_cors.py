"""Scripts on trusted origins may read every answer. Scripts on other origins may read none."""

import pytest
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from ostiary import Ostiary
from ostiary.errors import ConfigurationError
from ostiary.settings import WebSettings
from ostiary.testing import world
from tests.core.installation import installation
from tests.web.toy import SECRET, World, access_token

APP = "https://app.example.com"
PHONE = "capacitor://localhost"
EXTENSION = "chrome-extension://abcdefghijklmnop"
TRUSTED = WebSettings(trusted_origins=(APP, PHONE, EXTENSION))
ASKING = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}


async def ask(method, path, *, origin=APP, site="same-site", settings=TRUSTED, headers=(), **request):
    sent = {"origin": origin, "sec-fetch-site": site, **dict(headers)}
    async with World(*([settings] if settings else [])).client() as client:
        return await client.request(method, path, headers=sent, **request)


def cors(answer):
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("path", ["/auth/login", "/auth/me", "/auth/nowhere", "/healthz"])
@pytest.mark.parametrize("origin", [APP, PHONE, EXTENSION])
async def test_a_trusted_origin_may_send_every_request(origin, path):
    answer = await ask("OPTIONS", path, origin=origin, headers=ASKING)
    assert answer.status_code == 204
    assert answer.headers["vary"] == "Origin"
    said = cors(answer)
    assert said.pop("access-control-allow-credentials", None) == ("true" if origin == APP else None)
    assert said == {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
        "access-control-allow-headers": "Authorization, Content-Type, DPoP",
        "access-control-expose-headers": "Date, Retry-After, WWW-Authenticate, DPoP-Nonce, X-Request-Id",
        "access-control-max-age": "600",
    }


@pytest.mark.parametrize(
    ("method", "path", "request_", "status"),
    [
        ("GET", "/auth/me", {"headers": {"authorization": f"Bearer {access_token()}"}}, 200),
        ("GET", "/auth/me", {}, 401),
        ("POST", "/auth/login", {"json": {"email": "a@example.com", "password": "wrong"}}, 401),
        ("POST", "/auth/login", {"json": {"email": "a@example.com", "password": SECRET}}, 200),
        ("POST", "/auth/login", {"content": "x"}, 415),
        ("POST", "/auth/login", {"json": {}}, 422),
        ("DELETE", "/auth/login", {}, 405),
        ("GET", "/auth/nowhere", {}, 404),
        ("GET", "/auth/crash", {}, 500),
    ],
)
async def test_a_trusted_origin_may_read_answers_refusals_and_failures(method, path, request_, status):
    answer = await ask(method, path, **request_)
    assert answer.status_code == status
    assert answer.headers["vary"] == "Origin"
    assert answer.headers["access-control-allow-origin"] == APP
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        f"{APP}.evil.example",
        f"{APP}/",
        APP.upper(),
        "http://app.example.com",
        "https://app.example.com:444",
        f"{APP}, {APP}",
        "",
        "*",
    ],
)
async def test_j5_no_other_origin_may_read_anything(origin):
    for method, path, headers in (("OPTIONS", "/auth/login", ASKING), ("GET", "/auth/me", {})):
        answer = await ask(method, path, origin=origin, headers=headers)
        assert cors(answer) == {}
        assert answer.headers["vary"] == "Origin", "a cache must not give this answer to a trusted origin"
    assert (await ask("OPTIONS", "/auth/login", origin=origin, headers=ASKING)).status_code == 405


async def test_without_trusted_origins_nothing_is_added():
    answer = await ask("OPTIONS", "/auth/login", settings=None, headers=ASKING)
    assert (answer.status_code, cors(answer), "vary" in answer.headers) == (405, {}, False)


async def test_two_origins_in_one_request_are_none():
    async with World(TRUSTED).client() as client:
        assert cors(await client.get("/auth/me", headers=[("origin", APP), ("origin", APP)])) == {}


async def test_an_origin_on_another_site_gets_no_credentials():
    answer = await ask("POST", "/auth/login", site="cross-site", json={"email": "a@example.com", "password": SECRET})
    assert (answer.status_code, answer.json()["transport"]) == (200, "token")
    assert answer.headers["access-control-allow-origin"] == APP
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
@pytest.mark.parametrize("origin", [PHONE, EXTENSION])
async def test_apps_and_extensions_get_tokens_and_no_cookies(origin, site):
    body = {"email": "a@example.com", "password": SECRET}
    assert (await ask("POST", "/auth/login", origin=origin, site=site, json=body)).status_code == 200
    answer = await ask("POST", "/auth/login", origin=origin, site=site, json={**body, "transport": "cookie"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (403, origin)
    assert "set-cookie" not in answer.headers


async def test_routes_for_service_clients_are_not_for_browsers():
    assert cors(await ask("POST", "/auth/oauth", content=b"")) == {}


@pytest.mark.parametrize(
    "origin", ["javascript://x", "file://", "data://x", "capacitor://", "capacitor://a/b", "*://x"]
)
def test_other_schemes_cannot_be_trusted(origin):
    with pytest.raises(ConfigurationError, match=r"web\.trusted_origins"):
        Ostiary("sqlite:///x.db", WebSettings(trusted_origins=(origin,)), environ={}, config=None)


async def test_ostiary_and_the_app_answer_preflights_for_their_own_paths():
    """As documented: `CORSMiddleware` is added first, so that Ostiary is outside it."""
    auth = Ostiary(None, WebSettings(trusted_origins=(APP,)), environ={}, config=None)
    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["https://other.example"])
    app.add_middleware(auth.middleware)

    @app.get("/thing")
    async def thing() -> str:
        return "x"

    async with world(auth, app) as w:
        for origin, path, is_allowed in (
            (APP, "/auth/me", True),
            (APP, "/thing", False),
            ("https://other.example", "/auth/me", False),
            ("https://other.example", "/thing", True),
        ):
            answer = await w.http.get(path, headers={"origin": origin})
            assert ("access-control-allow-origin" in answer.headers) is is_allowed
            asked = await w.http.options(path, headers={"origin": origin, "access-control-request-method": "GET"})
            assert asked.is_success is is_allowed


@pytest.mark.parametrize(
    "path", ["/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/auth/status/1"]
)
async def test_public_documents_have_one_allow_origin_header(sqlite_url, path):
    """A browser refuses an answer with two Access-Control-Allow-Origin fields, even if both would allow it."""
    async with installation(sqlite_url, TRUSTED) as house:
        answer = await house.ask("GET", path, headers={"origin": APP})
        assert answer.headers.get_list("access-control-allow-origin") == ["*"]
