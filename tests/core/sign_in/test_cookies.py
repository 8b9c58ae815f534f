"""Tokens in cookies: only in cookies, only for our own site, from sign-in to logout."""

import re

import pytest

from ostiary.settings import SessionSettings, TokenSettings, WebSettings
from tests.core.installation import ISSUER, SAME_ORIGIN, installation, tokens_of, told

ACCESS, REFRESH, DEVICE = "__Host-ostiary_access", "__Host-ostiary_refresh", "__Host-ostiary_device"
TRUSTED = "https://app.example.com"

FROM_HERE = [
    SAME_ORIGIN,
    {"sec-fetch-site": "same-origin", "origin": ISSUER},
    {"origin": ISSUER},
    {"sec-fetch-site": "same-site", "origin": TRUSTED},
    {"origin": TRUSTED},
]
FROM_ELSEWHERE = [
    {},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": "cross-site", "origin": ISSUER},
    {"sec-fetch-site": "cross-site", "origin": TRUSTED},
    {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
    {"sec-fetch-site": "SAME-ORIGIN"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://auth.example.com"},
    {"origin": "https://auth.example.com:444"},
    {"origin": "https://auth.example.com.evil.example"},
    {"origin": ""},
    {"referer": ISSUER + "/"},
    {"x-requested-with": "XMLHttpRequest"},
]


def cookies_of(answer):
    """name → (value, attributes in lower case)"""
    found = {}
    for line in answer.headers.get_list("set-cookie"):
        first, *attributes = line.split("; ")
        name, _, value = first.partition("=")
        assert name not in found
        found[name] = (value, sorted(attribute.lower() for attribute in attributes))
    return found


def sent(answer, **changes):
    """What a browser would send back."""
    values = {name: value for name, (value, _) in cookies_of(answer).items()} | changes
    return {"cookie": "; ".join(f"{name}={value}" for name, value in values.items())}


async def sign_in(house, **headers):
    answer = await house.login(transport="cookie", headers=headers or SAME_ORIGIN)
    assert answer.status_code == 200, answer.text
    return answer


async def test_a_cookie_sign_in_sets_three_cookies_and_returns_no_token(database_url):
    """I9, I10: HttpOnly, Secure, __Host-, and each with the scope that it needs."""
    async with installation(database_url) as house:
        await house.person()
        answer = await sign_in(house)
        assert set(answer.json()) == {"expires_in", "session_id"}
        cookies = cookies_of(answer)
        assert set(cookies) == {ACCESS, REFRESH, DEVICE}
        strict = ["httponly", "max-age=1209600", "path=/", "samesite=strict", "secure"]
        assert cookies[ACCESS][1] == ["httponly", "max-age=900", "path=/", "samesite=lax", "secure"]
        assert cookies[REFRESH][1] == strict
        assert cookies[DEVICE][1] == ["httponly", "max-age=34560000", "path=/", "samesite=lax", "secure"]
        for value, _ in cookies.values():
            assert value not in answer.text
            assert len(value) < 4000
        me = await house.get("/me", headers=sent(answer))
        assert me.json()["session"]["id"] == answer.json()["session_id"]


@pytest.mark.parametrize("headers", FROM_ELSEWHERE, ids=str)
async def test_a_cookie_sign_in_from_another_site_is_refused(sqlite_url, headers):
    """L16, J1: login CSRF. It is refused before anything is looked up or counted, also without any origin header."""
    async with installation(sqlite_url) as house:
        await house.person()
        statements = []
        house.watch(statements.append)
        answer = await house.login(transport="cookie", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site_request")
        assert "set-cookie" not in answer.headers
        assert statements == []


async def test_a_cookie_sign_in_from_our_own_or_a_trusted_origin_succeeds(sqlite_url):
    async with installation(sqlite_url, WebSettings(trusted_origins=(TRUSTED,))) as house:
        await house.person()
        for headers in FROM_HERE:
            await sign_in(house, **headers)


async def test_an_unknown_transport_is_refused(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.person()
        for transport in ("cookies", "Cookie", "", None, True):
            assert (await house.login(transport=transport, headers=SAME_ORIGIN)).status_code == 422


async def test_a_cookie_refresh_sets_both_cookies_again_and_returns_no_token(database_url):
    async with installation(database_url, SessionSettings(idle=30 * 86400), TokenSettings(refresh_grace=0)) as house:
        await house.person()
        first = await sign_in(house)
        house.clock.advance(3600)
        second = await house.post("/refresh", headers=sent(first) | SAME_ORIGIN)
        assert second.status_code == 200
        assert set(second.json()) == {"expires_in", "session_id"}
        cookies = cookies_of(second)
        assert set(cookies) == {ACCESS, REFRESH}
        assert "max-age=2588400" in cookies[REFRESH][1], "the end of the session does not move"
        assert cookies[REFRESH][0] != cookies_of(first)[REFRESH][0]
        again = await house.post("/refresh", headers=sent(first) | SAME_ORIGIN)
        assert again.status_code == 401
        assert "set-cookie" not in again.headers


@pytest.mark.parametrize("headers", FROM_ELSEWHERE, ids=str)
async def test_cookies_from_another_site_neither_refresh_nor_log_out(sqlite_url, headers):
    """S12, S15: the request is refused before the token is spent."""
    async with installation(sqlite_url) as house:
        await house.person()
        first = await sign_in(house)
        for path in ("/refresh", "/logout"):
            answer = await house.post(path, headers=sent(first) | headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "cross_site_request")
            assert "set-cookie" not in answer.headers
        assert (await house.post("/refresh", headers=sent(first) | SAME_ORIGIN)).status_code == 200


async def test_other_methods_do_not_bypass_the_origin_check(sqlite_url):
    """S04, S12, P12: GET and HEAD refresh nothing, and no header or field changes the method."""
    async with installation(sqlite_url) as house:
        await house.person()
        first = await sign_in(house)
        for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            for path in ("/auth/refresh", "/auth/logout"):
                answer = await house.ask(method, path, headers=sent(first) | SAME_ORIGIN)
                assert answer.status_code == 405
                assert answer.headers["allow"] == "POST"
        override = {"x-http-method-override": "POST", "x-method-override": "POST"}
        answer = await house.ask("GET", "/auth/refresh?_method=POST", headers=sent(first) | SAME_ORIGIN | override)
        assert answer.status_code == 405
        assert (await house.post("/refresh", headers=sent(first) | SAME_ORIGIN)).status_code == 200


async def test_logging_out_with_cookies_clears_them_and_ends_the_session(database_url):
    """I13."""
    async with installation(database_url) as house:
        await house.person()
        first = await sign_in(house)
        answer = await house.post("/logout", headers=sent(first) | SAME_ORIGIN)
        assert answer.status_code == 204
        cookies = cookies_of(answer)
        assert {name: value for name, (value, _) in cookies.items()} == {ACCESS: "", REFRESH: ""}
        for _, attributes in cookies.values():
            assert {"max-age=0", "path=/", "secure", "httponly"} <= set(attributes)
        assert answer.headers["clear-site-data"] == '"cache", "storage"', "the device cookie is kept"
        assert (await house.get("/me", headers=sent(first))).status_code == 401
        assert (await house.post("/refresh", headers=sent(first) | SAME_ORIGIN)).status_code == 401


async def test_logging_out_with_tokens_clears_no_cookies(sqlite_url):
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        answer = await house.post("/logout", {"refresh_token": tokens.refresh})
        assert answer.status_code == 204
        assert {"set-cookie", "clear-site-data"}.isdisjoint(answer.headers)


async def test_a_wrong_password_sets_no_cookies(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.person()
        answers = [
            await house.login(password="a kettle", transport="cookie", headers=SAME_ORIGIN),
            await house.login("nobody@example.com", transport="cookie", headers=SAME_ORIGIN),
            await house.login(password="a kettle"),
        ]
        assert answers[0].status_code == 401
        assert "set-cookie" not in answers[0].headers
        assert len({str(told(answer)) for answer in answers}) == 1


TOSSED = {
    "the refresh cookie twice": lambda a, r: f"{REFRESH}={r}; {REFRESH}=other",
    "twice, once empty": lambda a, r: f"{REFRESH}=; {REFRESH}={r}",
    "the very same twice": lambda a, r: f"{REFRESH}={r}; {REFRESH}={r}",
}


@pytest.mark.parametrize("made", TOSSED.values(), ids=TOSSED)
async def test_a_duplicate_cookie_is_refused(sqlite_url, made):
    """S11, I12: cookie tossing from a sibling host."""
    async with installation(sqlite_url) as house:
        await house.person()
        cookies = cookies_of(await sign_in(house))
        access, refresh = cookies[ACCESS][0], cookies[REFRESH][0]
        answer = await house.post("/refresh", headers={"cookie": made(access, refresh)} | SAME_ORIGIN)
        assert (answer.status_code, answer.json()["code"]) == (400, "multiple_credentials")
        for cookie in (f"{ACCESS}={access}; {ACCESS}=x", f"{ACCESS}=x; {ACCESS}={access}"):
            assert (await house.get("/me", headers={"cookie": cookie})).status_code == 400
        assert (await house.post("/refresh", {"refresh_token": refresh})).status_code == 200, "nothing was spent"


@pytest.mark.parametrize(
    "name",
    [
        " \u00a0" + REFRESH, "\t" + REFRESH, REFRESH.lower(), REFRESH.upper(), "=" + REFRESH,
        "__host-ostiary_refresh", "ostiary_refresh", "__Secure-ostiary_refresh", REFRESH + " ", "$" + REFRESH,
    ],
)  # fmt: skip
async def test_a_cookie_with_a_similar_name_is_ignored(sqlite_url, name):
    """S11: lenient name matching would let a sibling host plant a cookie despite the __Host- prefix."""
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        cookie = f"{name}={tokens.refresh}".encode("latin-1")
        answer = await house.post("/refresh", headers={"cookie": cookie} | SAME_ORIGIN)
        assert (answer.status_code, answer.json()["code"]) == (400, "missing_token")


async def test_two_hundred_other_cookies_do_no_harm(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.person()
        first = await sign_in(house)
        many = "; ".join(f"c{number}={number}" for number in range(200))
        headers = {"cookie": f"{many}; {sent(first)['cookie']}"} | SAME_ORIGIN
        assert (await house.post("/refresh", headers=headers)).status_code == 200


async def test_two_credentials_for_one_role_are_refused(sqlite_url):
    """I12, S14: header and cookie, body and cookie, two headers."""
    async with installation(sqlite_url) as house:
        person = await house.person()
        first, other = await sign_in(house), await house.session(person)
        both = await house.get("/me", token=other.access, headers=sent(first))
        body = await house.post("/refresh", {"refresh_token": other.refresh}, headers=sent(first) | SAME_ORIGIN)
        for answer in (both, body):
            assert (answer.status_code, answer.json()["code"]) == (400, "multiple_credentials")
        twice = await house.ask("GET", "/auth/me", headers=[("authorization", f"Bearer {other.access}")] * 2)
        assert twice.status_code == 400
        assert (await house.refresh(other.refresh)).status_code == 200
        assert (await house.post("/refresh", headers=sent(first) | SAME_ORIGIN)).status_code == 200


async def test_a_token_in_the_url_is_not_read(sqlite_url):
    """S13, I11."""
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        assert (await house.get(f"/me?access_token={tokens.access}&token={tokens.access}")).status_code == 401
        answer = await house.post(f"/refresh?refresh_token={tokens.refresh}")
        assert (answer.status_code, answer.json()["code"]) == (400, "missing_token")
        assert (await house.post(f"/logout?refresh_token={tokens.refresh}")).status_code == 204
        assert (await house.refresh(tokens.refresh)).status_code == 200


async def test_a_refresh_with_a_body_token_answers_in_the_body_for_any_origin(sqlite_url):
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        answer = await house.refresh(tokens.refresh, headers={"origin": "https://elsewhere.example"})
        assert re.fullmatch(r"ostiary_refresh_[A-Za-z0-9_-]{110}", tokens_of(answer).refresh)
        assert "set-cookie" not in answer.headers
