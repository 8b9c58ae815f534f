"""The claim `email`: off by default, only verified addresses, only for the issuer's own audience."""

import pytest

from ostiary.core.sessions.model import SessionOptions
from ostiary.settings import TokenSettings
from tests.core.installation import EMAIL, installation

ORDERS = "https://orders.example.com"
ON = TokenSettings(email_claim=True, resources=(ORDERS,))


def principal(house, tokens):
    return house.auth.authenticate([(b"authorization", f"Bearer {tokens.access}".encode())], method="GET")


async def test_it_is_off_by_default(sqlite_url):
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        assert "email" not in tokens.claims
        assert principal(house, tokens).email is None


async def test_a_verified_address_is_in_the_token_and_in_the_principal(database_url):
    async with installation(database_url, ON) as house:
        tokens = await house.session(await house.person())
        assert tokens.claims["email"] == EMAIL
        assert principal(house, tokens).email == EMAIL
        refreshed = (await house.refresh(tokens.refresh)).json()
        assert await house.is_let_in(refreshed["access_token"])


async def test_an_unverified_address_is_not_in_the_token(database_url):
    async with installation(database_url, ON) as house:
        person = await house.person()
        await house.ambient.database.execute("update accounts set verified_at = null")
        assert "email" not in (await house.session(person)).claims


@pytest.mark.parametrize("resource", [ORDERS])
async def test_another_service_does_not_get_the_address(database_url, resource):
    async with installation(database_url, ON) as house:
        tokens = await house.session(await house.person(), SessionOptions(resource=resource))
        assert tokens.claims["aud"] == resource
        assert "email" not in tokens.claims
