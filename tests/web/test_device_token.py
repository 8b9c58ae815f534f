"""A device token identifies a device. It comes from the body or, in cookie mode, from its cookie, never from both."""

import pytest

from ostiary.core.plug import CookieRole, SetCookie
from ostiary.verifier import HOST_COOKIES, REFRESH_COOKIE
from ostiary.web.cookies import set_cookie
from tests.web.toy import World

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


async def post(path, body, *, cookie=None, headers=SAME_ORIGIN):
    sent = {**headers, **({"cookie": cookie} if cookie else {})}
    async with World().client() as client:
        return await client.post(f"/auth/{path}", json=body, headers=sent)


async def device_token(*arguments, **options):
    answer = await post(*arguments, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()["device_token"]


async def test_it_is_read_from_the_body():
    assert await device_token("device", {"device_token": "d1"}) == "d1"
    assert await device_token("device/refresh", {"refresh_token": "r1", "device_token": "d1"}) == "d1"
    assert await device_token("device", {}) is None


async def test_in_cookie_mode_it_is_read_from_the_cookie():
    cookie = f"{HOST_COOKIES.device}=d2"
    assert await device_token("device", {"transport": "cookie"}, cookie=cookie) == "d2"
    assert await device_token("device/refresh", {}, cookie=f"{REFRESH_COOKIE}=r1; {cookie}") == "d2"


async def test_with_tokens_in_the_body_the_cookie_is_ignored():
    """A page of another site can make a browser send the cookie, so it must not affect such a request."""
    for cookie in (f"{HOST_COOKIES.device}=d2", f"{HOST_COOKIES.device}=d2; {HOST_COOKIES.device}=d3"):
        assert await device_token("device", {}, cookie=cookie, headers={}) is None
        assert await device_token("device", {"device_token": "d1"}, cookie=cookie, headers={}) == "d1"
        assert await device_token("device/refresh", {"refresh_token": "r1"}, cookie=cookie, headers={}) is None


@pytest.mark.parametrize(
    ("path", "body", "cookie"),
    [
        ("device", {"transport": "cookie", "device_token": "d1"}, f"{HOST_COOKIES.device}=d1"),
        ("device", {"transport": "cookie"}, f"{HOST_COOKIES.device}=d1; {HOST_COOKIES.device}=d2"),
        ("device/refresh", {"device_token": "d1"}, f"{REFRESH_COOKIE}=r1; {HOST_COOKIES.device}=d1"),
    ],
)
async def test_two_device_tokens_are_refused(path, body, cookie):
    answer = await post(path, body, cookie=cookie)
    assert (answer.status_code, answer.json()["code"]) == (400, "multiple_credentials")


async def test_in_cookie_mode_the_request_must_come_from_our_site():
    answer = await post("device", {"transport": "cookie"}, cookie=f"{HOST_COOKIES.device}=d1", headers={})
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site_request")


async def test_a_route_without_device_tokens_ignores_them():
    answer = await post(
        "refresh", {}, cookie=f"{REFRESH_COOKIE}=r1; {HOST_COOKIES.device}=d1; {HOST_COOKIES.device}=d2"
    )
    assert (answer.status_code, answer.json()["device_token"]) == (200, None)


def test_its_cookie_is_protected_from_scripts_and_other_hosts():
    assert set_cookie(SetCookie(CookieRole.DEVICE, "d1", 34_560_000), HOST_COOKIES) == (
        "__Host-ostiary_device=d1; Max-Age=34560000; Path=/; Secure; HttpOnly; SameSite=Lax"
    )
