"""Cookies over http on this machine have names of their own and no ``Secure``. Everywhere else nothing changes."""

import pytest

from ostiary.errors import ConfigurationError
from ostiary.jose import SigningKey
from ostiary.verifier import HOST_COOKIES, LOOPBACK_COOKIES, TokenAuthenticator, Verifier, cookie_names
from tests.core.given import given
from tests.web.toy import SECRET, World

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}
LOGIN = {"email": "a@example.com", "password": SECRET, "transport": "cookie"}
LOOPBACK = ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000", "http://LOCALHOST/realm"]
ELSEWHERE = ["https://auth.example.com", "https://localhost:8443", "https://127.0.0.1"]


async def ask(issuer, method, path, **request):
    async with World(issuer=issuer).client() as client:
        return await client.request(method, f"/auth/{path}", **request)


@pytest.mark.parametrize("issuer", LOOPBACK)
async def test_safari_stores_the_cookies_of_a_server_on_http_localhost(issuer):
    """Safari drops ``Secure`` cookies over http, also on localhost, and ``__Host-`` requires ``Secure``."""
    answer = await ask(issuer, "POST", "login", json=LOGIN, headers=SAME_ORIGIN)
    assert answer.headers.get_list("set-cookie") == [
        "ostiary_dev_access=a.b.c; Max-Age=900; Path=/; HttpOnly; SameSite=Lax",
        "ostiary_dev_refresh=ort_1; Max-Age=86400; Path=/; HttpOnly; SameSite=Strict",
    ]


@pytest.mark.parametrize("issuer", ELSEWHERE)
async def test_every_other_issuer_sets_secure_host_cookies(issuer):
    answer = await ask(issuer, "POST", "login", json=LOGIN, headers=SAME_ORIGIN)
    for cookie in answer.headers.get_list("set-cookie"):
        assert cookie.startswith("__Host-ostiary_")
        assert "; Secure; HttpOnly; " in cookie


@pytest.mark.parametrize("issuer", LOOPBACK + ELSEWHERE)
async def test_a_server_accepts_only_one_set_of_names(issuer):
    """Otherwise a cookie that another host or plain http planted would count next to a ``__Host-`` cookie."""
    own = cookie_names(issuer)
    other = HOST_COOKIES if own is LOOPBACK_COOKIES else LOOPBACK_COOKIES

    async def refresh(names):
        cookie = {"cookie": f"{names.refresh}=ort_1"}
        return await ask(issuer, "POST", "refresh", json={}, headers={**SAME_ORIGIN, **cookie})

    assert (await refresh(own)).json()["refresh_token"] == "ort_1"
    assert (await refresh(other)).json()["code"] == "missing_token"
    both = {"cookie": f"{own.refresh}=ort_1; {other.refresh}=ort_2"}
    answer = await ask(issuer, "POST", "refresh", json={}, headers={**SAME_ORIGIN, **both})
    assert answer.json()["refresh_token"] == "ort_1"


@pytest.mark.parametrize("issuer", LOOPBACK + ELSEWHERE)
def test_guards_take_the_names_from_the_issuer(issuer):
    key = SigningKey.generate("ES256").public
    verifiers = [Verifier(keys=[key], issuer=issuer, audience="a")]
    if "LOCALHOST" not in issuer:
        verifiers.append(Verifier.remote(issuer, audience="a", development=True))
    for verifier in verifiers:
        authenticator = TokenAuthenticator(verifier)
        for names in (HOST_COOKIES, LOOPBACK_COOKIES):
            credential = authenticator._token([(b"cookie", f"{names.access}=a.b.c".encode())], "GET")
            assert (credential is not None) is (names is cookie_names(issuer))


@pytest.mark.parametrize("issuer", ["http://192.168.1.5:8000", "http://10.0.0.7", "http://localhost.example.com"])
def test_a_host_that_is_not_this_machine_never_gets_the_development_cookies(issuer):
    """The settings refuse http there. If a verifier is made for it all the same, it reads ``__Host-`` cookies."""
    assert cookie_names(issuer) is HOST_COOKIES
    with pytest.raises(ConfigurationError, match="must be https, except on the loopback interface"):
        given(issuer=issuer)


def test_production_refuses_the_issuers_that_have_development_cookies():
    for issuer in LOOPBACK[:3]:
        with pytest.raises(ConfigurationError, match="production"):
            given(issuer=issuer, production=True, secret="x" * 43)


async def test_the_openapi_document_names_the_cookies_of_the_issuer():
    schemes = (await ask(LOOPBACK[0], "GET", "openapi.json")).json()["components"]["securitySchemes"]
    assert schemes["refreshCookie"]["name"] == "ostiary_dev_refresh"
