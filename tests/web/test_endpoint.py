"""Each route's policy is applied, in order, to every request."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.core.plug import Credential, PerSource
from ostiary.settings import RegistrationSettings, WebSettings
from ostiary.verifier import ACCESS_COOKIE, REFRESH_COOKIE
from tests.logged import written
from tests.web.toy import ISSUER, NOW, ROUTES, SECRET, Login, World, access_token, login, route, show

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}
CROSS_SITE = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
WORLD_BEHIND_A_PROXY = World(WebSettings(trusted_proxies=("10.0.0.0/8",)), RegistrationSettings(limit="1000000/minute"))
GOOD = {"email": "a@example.com", "password": SECRET}


def cookies(**values):
    names = {"access": ACCESS_COOKIE, "refresh": REFRESH_COOKIE}
    return {"cookie": "; ".join(f"{names[role]}={value}" for role, value in values.items())}


def bearer(token=None):
    return {"authorization": f"Bearer {token or access_token()}"}


async def ask(method, path, *, world=None, headers=(), **request):
    async with (world or World()).client() as client:
        return await client.request(method, path, headers=dict(headers), **request)


async def code(method, path, **request):
    answer = await ask(method, path, **request)
    return answer.status_code, answer.json().get("code")


# --- access tokens ------------------------------------------------------------------------------------------------


async def test_an_access_token_in_the_header_identifies_the_caller():
    answer = await ask("GET", "/auth/me", headers=bearer())
    assert (answer.status_code, answer.json()["subject"], answer.json()["transport"]) == (200, "acc_1", "token")


async def test_an_access_token_in_the_cookie_identifies_the_caller():
    answer = await ask("GET", "/auth/me", headers=cookies(access=access_token()))
    assert (answer.status_code, answer.json()["subject"], answer.json()["transport"]) == (200, "acc_1", "cookie")


async def test_without_a_credential_the_challenge_has_no_error():
    answer = await ask("GET", "/auth/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "missing_credential")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b.c",
        access_token(exp=NOW - 60, iat=NOW - 120, auth_time=NOW - 120),
        access_token(iss="https://evil.example"),
    ],
    ids=["text", "segments", "expired", "foreign"],
)
async def test_every_bad_token_gets_the_same_refusal(token):
    answer = await ask("GET", "/auth/me", headers=bearer(token))
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert (await ask("GET", "/auth/me", headers=bearer("y"))).json() == answer.json()


async def test_a_revoked_session_is_refused():
    world = World()
    world.revocations.end_session("ses_1", NOW + 900)
    assert await code("GET", "/auth/me", world=world, headers=bearer()) == (401, "invalid_token")


async def test_while_revocations_are_unknown_every_request_is_refused():
    world = World()
    world.fresh = False
    answer = await ask("GET", "/auth/me", world=world, headers=bearer())
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_token_in_the_query_is_not_a_credential():
    assert await code("GET", f"/auth/me?access_token={access_token()}") == (401, "missing_credential")


async def test_an_access_token_cannot_refresh():
    assert await code("POST", "/auth/refresh", headers=bearer()) == (400, "missing_token")


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", "Bearer a"), ("authorization", "Bearer b")],
        [("authorization", "Bearer a"), ("cookie", f"{ACCESS_COOKIE}=b")],
        [("cookie", f"{ACCESS_COOKIE}=a; {ACCESS_COOKIE}=b")],
        [("cookie", f"{ACCESS_COOKIE}=a"), ("cookie", f"{ACCESS_COOKIE}=a")],
    ],
)
async def test_two_credentials_for_one_role_are_refused(headers):
    async with World().client() as client:
        answer = await client.get("/auth/me", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "multiple_credentials")


@pytest.mark.parametrize(
    "name", [f"\u00a0{ACCESS_COOKIE}", ACCESS_COOKIE.lower(), f"={ACCESS_COOKIE}", "ostiary_access"]
)
async def test_a_cookie_that_only_looks_like_ours_is_ignored(name):
    header = f"{name}={access_token()}".encode()
    assert (await ask("GET", "/auth/me", headers=[(b"cookie", header)])).status_code == 401


async def test_our_cookie_is_found_among_two_hundred_others():
    others = "; ".join(f"c{number}={'x' * 20}" for number in range(200))
    headers = {"cookie": f"{others}; {ACCESS_COOKIE}={access_token()}"}
    assert (await ask("GET", "/auth/me", headers=headers)).status_code == 200


async def test_credentials_that_a_route_does_not_read_are_ignored():
    headers = {**bearer("garbage"), **cookies(access="garbage", refresh="garbage")}
    assert (await ask("GET", "/auth/open", headers=headers)).status_code == 200
    assert (await ask("GET", "/auth/me", headers={**bearer(), **cookies(refresh="garbage")})).status_code == 200


# --- refresh tokens -----------------------------------------------------------------------------------------------


async def test_a_refresh_token_is_read_from_the_body():
    answer = await ask("POST", "/auth/refresh", json={"refresh_token": "ort_1"})
    assert (answer.json()["refresh_token"], answer.json()["transport"]) == ("ort_1", "token")


@pytest.mark.parametrize("body", [None, {}, {"refresh_token": None}])
async def test_a_refresh_token_is_read_from_the_cookie_with_or_without_a_body(body):
    headers = {**SAME_ORIGIN, **cookies(refresh="ort_1")}
    answer = await ask("POST", "/auth/refresh", headers=headers, json=body)
    assert (answer.status_code, answer.json()["refresh_token"], answer.json()["transport"]) == (200, "ort_1", "cookie")


async def test_a_refresh_token_in_both_places_is_refused():
    headers = {**SAME_ORIGIN, **cookies(refresh="ort_1")}
    refused = await code("POST", "/auth/refresh", headers=headers, json={"refresh_token": "ort_1"})
    assert refused == (400, "multiple_credentials")


async def test_a_refresh_token_is_not_accepted_on_a_protected_route():
    assert await code("GET", "/auth/me", headers=cookies(refresh=access_token())) == (401, "missing_credential")


async def test_refreshing_with_get_is_refused():
    assert await code("GET", "/auth/refresh", headers=cookies(refresh="ort_1")) == (405, "method_not_allowed")


# --- logging out --------------------------------------------------------------------------------------------------


async def test_logout_accepts_both_tokens_even_expired_ones():
    answer = await ask("POST", "/auth/logout", headers=bearer("expired"), json={"refresh_token": "ort_1"})
    seen = answer.json()
    assert (answer.status_code, seen["access_token"], seen["refresh_token"]) == (200, "expired", "ort_1")
    assert seen["subject"] is None


async def test_logout_without_any_token_reaches_the_handler():
    assert (await ask("POST", "/auth/logout")).status_code == 200


# --- cross-site requests ------------------------------------------------------------------------------------------

COOKIE_REQUESTS = [
    ("POST", "/auth/refresh", cookies(refresh="ort_1"), None),
    ("POST", "/auth/logout", cookies(refresh="ort_1"), None),
    ("POST", "/auth/logout", cookies(access="a"), None),
    ("POST", "/auth/totp", cookies(access=access_token()), None),
    ("DELETE", "/auth/sessions/ses_1", cookies(access=access_token()), None),
    ("POST", "/auth/login", {}, {**GOOD, "transport": "cookie"}),
]


@pytest.mark.parametrize(("method", "path", "headers", "body"), COOKIE_REQUESTS)
@pytest.mark.parametrize(
    "site",
    [
        {},
        CROSS_SITE,
        {"sec-fetch-site": "same-site", "origin": "https://blog.example.com"},
        {"sec-fetch-site": "cross-site", "origin": ISSUER},
        {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://auth.example.com.evil.example"},
        {"origin": "http://auth.example.com"},
        {"origin": "https://auth.example.com:444"},
        {"origin": f"{ISSUER}/"},
        {"referer": f"{ISSUER}/"},
        {"host": "auth.example.com", "x-forwarded-host": "auth.example.com"},
    ],
)
async def test_a_request_with_cookies_must_come_from_our_site(method, path, headers, body, site):
    refused = await code(method, path, headers={**headers, **site}, json=body)
    assert refused == (403, "cross_site_request")


@pytest.mark.parametrize(("method", "path", "headers", "body"), COOKIE_REQUESTS)
@pytest.mark.parametrize(
    "site",
    [
        SAME_ORIGIN,
        {**SAME_ORIGIN, "origin": ISSUER},
        {"origin": ISSUER},
        {"sec-fetch-site": "same-site", "origin": "https://app.example.com"},
    ],
)
async def test_our_own_and_trusted_origins_are_allowed(method, path, headers, body, site):
    world = World(WebSettings(trusted_origins=("https://app.example.com",)))
    answer = await ask(method, path, world=world, headers={**headers, **site}, json=body)
    assert answer.status_code in {200, 204}


@pytest.mark.parametrize(("method", "path", "headers", "body"), COOKIE_REQUESTS)
async def test_a_trusted_origin_on_another_site_learns_that_it_cannot_use_cookies(method, path, headers, body):
    world = World(WebSettings(trusted_origins=("https://app.example.com",)))
    site = {"sec-fetch-site": "cross-site", "origin": "https://app.example.com"}
    answer = await ask(method, path, world=world, headers={**headers, **site}, json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site_request")
    assert "use the transport `token`" in answer.json()["title"]


async def test_the_origin_of_the_issuer_is_normalised_as_browsers_do():
    world = World(issuer="https://Auth.Example.com:443/tenant")
    answer = await ask("POST", "/auth/refresh", world=world, headers={"origin": ISSUER, **cookies(refresh="ort_1")})
    assert answer.status_code == 200


async def test_a_request_without_cookies_may_come_from_any_site():
    assert (await ask("POST", "/auth/login", json=GOOD, headers=CROSS_SITE)).status_code == 200
    assert (await ask("POST", "/auth/totp", headers={**bearer(), **CROSS_SITE})).status_code == 200


async def test_reading_with_a_cookie_is_allowed_from_any_site():
    assert (await ask("GET", "/auth/me", headers={**cookies(access=access_token()), **CROSS_SITE})).status_code == 200


@pytest.mark.parametrize("override", ["x-http-method-override", "x-http-method", "x-method-override"])
async def test_a_method_cannot_be_overridden(override):
    headers = {**cookies(access=access_token()), **SAME_ORIGIN, override: "DELETE"}
    answer = await ask("POST", "/auth/sessions/ses_1?_method=DELETE", headers=headers)
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE")


async def test_a_form_from_another_site_cannot_sign_in():
    answer = await ask("POST", "/auth/login", data={**GOOD, "transport": "cookie"}, headers=CROSS_SITE)
    assert answer.status_code == 415


async def test_cookies_are_set_only_for_requests_from_our_site():
    assert await code("POST", "/auth/cookies", headers=CROSS_SITE) == (403, "cross_site_request")
    answer = await ask("POST", "/auth/cookies", headers=SAME_ORIGIN)
    assert (answer.status_code, len(answer.headers.get_list("set-cookie"))) == (204, 1)


async def test_signing_in_with_cookies_sets_both():
    answer = await ask("POST", "/auth/login", json={**GOOD, "transport": "cookie"}, headers=SAME_ORIGIN)
    names = [cookie.partition("=")[0] for cookie in answer.headers.get_list("set-cookie")]
    assert names == [ACCESS_COOKIE, REFRESH_COOKIE]


@pytest.mark.parametrize(
    ("headers", "expected"), [(SAME_ORIGIN, True), ({"origin": ISSUER}, True), (CROSS_SITE, False), ({}, False)]
)
async def test_handlers_can_see_whether_the_request_is_from_our_site(headers, expected):
    for method in ("GET", "POST"):
        assert (await ask(method, "/auth/open", headers=headers)).json()["from_own_site"] is expected


# --- limits -------------------------------------------------------------------------------------------------------


async def test_a_rate_limited_source_gets_the_time_to_retry():
    world = World(RegistrationSettings(limit="2/minute"))
    async with world.client() as client:
        answers = [await client.post("/auth/register", json=GOOD) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "2"
    assert answers[2].json()["code"] == "rate_limited"


async def test_requests_are_counted_before_they_are_parsed():
    world = World(RegistrationSettings(limit="1/minute"))
    async with world.client() as client:
        await client.post("/auth/register", content=b"garbage", headers={"content-type": "text/plain"})
        assert (await client.post("/auth/register", json=GOOD)).status_code == 429


async def test_one_ipv6_network_is_one_source_and_spoofed_headers_are_ignored():
    world = World(RegistrationSettings(limit="3/minute"))
    statuses = []
    for host in range(4):
        async with world.client(address=f"2001:db8:0:1::{host:x}") as client:
            spoofed = {"x-forwarded-for": f"198.51.100.{host}", "forwarded": f"for=198.51.100.{host}"}
            statuses.append((await client.post("/auth/register", json=GOOD, headers=spoofed)).status_code)
    assert statuses == [200, 200, 200, 429]
    assert list(world.hot.taken) == ["registration.limit:2001:db8:0:1::/64"]


async def test_behind_a_trusted_proxy_each_client_is_counted_separately():
    world = World(RegistrationSettings(limit="1/minute"), WebSettings(trusted_proxies=("10.0.0.0/8",)))
    statuses = []
    for host in range(3):
        async with world.client(address="10.0.0.1") as client:
            said = {"x-forwarded-for": f"1.1.1.1, 198.51.100.{host}"}
            statuses.append((await client.post("/auth/register", json=GOOD, headers=said)).status_code)
    assert statuses == [200, 200, 200]


# --- what the handler receives ------------------------------------------------------------------------------------


async def test_the_user_agent_is_made_safe_to_store_and_show():
    async def agent(value):
        return (await ask("GET", "/auth/open", headers=[(b"user-agent", value)])).json()["user_agent"]

    assert await agent(b"Mozilla/5.0 (X11; Linux)") == "Mozilla/5.0 (X11; Linux)"
    assert await agent(b"\x1b[31mred\x00\x85") == "�[31mred��"
    assert await agent(b"x" * 10_000) == "x" * 256


async def test_path_parameters_are_decoded():
    assert (await ask("PUT", "/auth/roles/a%20b")).json()["path"] == {"name": "a b"}


# --- arbitrary input ----------------------------------------------------------------------------------------------

HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [b"authorization", b"cookie", b"content-type", b"content-length", b"origin", b"sec-fetch-site",
             b"user-agent", b"x-forwarded-for", b"x-request-id", b"host"]
        ),
        st.binary(max_size=60) | st.sampled_from([b"Bearer x", b"application/json", ACCESS_COOKIE.encode() + b"=x"]),
    ),
    max_size=6,
)  # fmt: skip


@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "\x00"]),
    path=st.sampled_from(
        [f"/auth{each.path}" for each in ROUTES if each.path not in {"/crash", "/lost", "/unstated", "/misconfigured"}]
    )
    | st.text(max_size=30).map("/auth/sessions/{}".format),
    headers=HEADERS,
    body=st.binary(max_size=40),
)
async def test_no_request_causes_a_server_error(method, path, headers, body):
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": headers, "client": ("10.0.0.1", 1)}
    await WORLD_BEHIND_A_PROXY.app(scope, receive, send)
    assert 200 <= sent[0]["status"] < 500
    assert dict(sent[0]["headers"])[b"x-request-id"]


# --- programming errors -------------------------------------------------------------------------------------------


def test_a_limit_without_a_setting_fails_when_the_app_is_created():
    with pytest.raises(TypeError, match=r"/x: the setting registration\.nothing is not a rate"):
        World(route("POST", "/x", show, limit=PerSource(RegistrationSettings, "nothing")))


def test_a_body_that_allows_unknown_fields_fails_when_the_app_is_created():
    class Inner(msgspec.Struct):
        name: str

    class Outer(msgspec.Struct, forbid_unknown_fields=True):
        inner: Inner

    with pytest.raises(TypeError, match="Inner must be declared with forbid_unknown_fields"):
        World(route("POST", "/x", show, body=Outer))


def test_a_duplicate_route_fails_when_the_app_is_created():
    with pytest.raises(TypeError, match="twice"):
        World(route("GET", "/x", show), route("GET", "/x", show))


async def test_a_response_that_the_route_does_not_declare_is_a_server_error():
    assert await code("GET", "/auth/unstated") == (500, "error")


async def test_a_handler_never_gets_a_credential_that_was_not_verified():
    world = World(route("POST", "/login", login, body=Login, credential=Credential.ACCESS))
    assert await code("POST", "/auth/login", world=world, json=GOOD) == (401, "missing_credential")


async def test_p05_the_name_of_an_unknown_field_is_not_logged(caplog):
    """A password that is sent as a field name by mistake must not be in the log."""
    with caplog.at_level("INFO", logger="ostiary.web"):
        answer = await ask("POST", "/auth/login", json={**GOOD, "hunter2-is-mine": 1})
    assert answer.status_code == 422
    assert "hunter2" not in written(caplog)
    assert "invalid_body" in written(caplog)
