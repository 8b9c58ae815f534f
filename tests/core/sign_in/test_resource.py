"""``resource`` at sign-in: the audience of the session's access tokens (RFC 8707), from an allow-list."""

from ostiary.core.clients import service as clients
from ostiary.core.plug import Actor
from ostiary.settings import SignInSettings, TokenSettings
from tests.core.installation import EMAIL, ISSUER, PASSWORD, installation, tokens_of

ORDERS = "https://orders.example.com"
FILES = "https://files.example.com/v1"
OPERATOR = Actor.operator("test")


async def test_access_tokens_keep_the_resource_after_a_refresh(database_url):
    """L27: the resource is bound to the session. A single token may be requested for another one."""
    async with installation(database_url, TokenSettings(resources=(ORDERS, FILES))) as house:
        await house.person()
        tokens = tokens_of(await house.login(resource=ORDERS))
        assert tokens.claims["aud"] == ORDERS
        assert not await house.is_let_in(tokens.access), "only a token for the issuer is accepted at /auth/*"
        tokens = tokens_of(await house.refresh(tokens.refresh))
        assert tokens.claims["aud"] == ORDERS
        for named in (FILES, ISSUER):
            tokens = tokens_of(await house.post("/refresh", {"refresh_token": tokens.refresh, "resource": named}))
            assert tokens.claims["aud"] == named
        assert tokens_of(await house.refresh(tokens.refresh)).claims["aud"] == ORDERS
        assert tokens_of(await house.login(resource=ISSUER)).claims["aud"] == ISSUER


async def test_a_resource_that_is_not_allowed_is_refused(sqlite_url):
    async with installation(sqlite_url, TokenSettings(resources=(ORDERS,))) as house:
        await house.person()
        for resource in ("https://evil.example.com", f"{ORDERS}/", "HTTPS://ORDERS.EXAMPLE.COM", ORDERS[:-1], ""):
            answer = await house.login(resource=resource)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_target"), resource
        for resource in ([ORDERS], [ORDERS, FILES], {"aud": ORDERS}, 5):
            assert (await house.login(resource=resource)).status_code == 422, "a token has one audience"
        assert await house.rows("select id from sessions") == []
        assert await house.events("sign_in.failed") == []


async def test_only_a_caller_with_the_right_password_learns_which_resources_exist(sqlite_url):
    """A wrong password, an unknown address and a disabled account get one answer, whatever the resource."""
    async with installation(sqlite_url, TokenSettings(resources=(ORDERS,))) as house:
        person = await house.person()
        for resource in (ORDERS, "https://guess.example.com", ""):
            for email, password in ((EMAIL, "wrong"), ("nobody@example.com", PASSWORD)):
                answer = await house.login(email, password, resource=resource)
                assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials"), (email, resource)
        assert len(await house.events("sign_in.failed")) == 6
        await house.auth.accounts.disable(person.id)
        answer = await house.login(resource="https://guess.example.com")
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")


async def test_guessing_resources_is_counted(sqlite_url):
    """E3: a refused resource counts as an attempt of its source like any other."""
    async with installation(sqlite_url, TokenSettings(resources=(ORDERS,)), SignInSettings(limit="5/minute")) as house:
        await house.person()
        guesses = [
            await house.login(resource=f"https://guess{number}.example.com", source="192.0.2.1") for number in range(6)
        ]
        assert [answer.status_code for answer in guesses] == [400] * 5 + [429]


async def test_the_resources_of_a_client_are_allowed_until_it_is_deleted(database_url):
    """S05: a session for that resource then gets no further tokens, but it does not end as if a token were stolen."""
    async with installation(database_url) as house:
        await house.person()
        assert (await house.login(resource=ORDERS)).status_code == 400
        made = await clients.create(house.ambient, OPERATOR, name="orders", resources=[ORDERS])
        tokens = tokens_of(await house.login(resource=ORDERS))
        await clients.delete(house.ambient, OPERATOR, made.client.id)
        answer = await house.refresh(tokens.refresh)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_target")
        again = tokens_of(await house.post("/refresh", {"refresh_token": tokens.refresh, "resource": ISSUER}))
        assert again.claims["aud"] == ISSUER
        assert await house.events("tokens.refresh_token_reused") == []
