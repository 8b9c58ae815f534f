"""One database has one issuer."""

import asyncio

import pytest

from ostiary.errors import ConfigurationError
from tests.core.installation import ISSUER, by, installation, opened, ostiary, tokens_of

OTHER = "https://other.example.com"


async def test_a_second_server_with_another_issuer_is_refused_at_start(database_url):
    """Otherwise a refresh token of one would get access tokens of the other."""
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        other = ostiary(database_url, house.clock, house.outbox, issuer=OTHER)
        with pytest.raises(ConfigurationError, match=f"belongs to the issuer {ISSUER}, not to {OTHER}"):
            async with other.opened():
                pass
        tokens_of(await house.refresh(tokens.refresh))


async def test_the_same_issuer_can_be_opened_any_number_of_times(database_url):
    async with (
        installation(database_url) as house,
        opened(ostiary(database_url, house.clock, house.outbox), house.clock, house.outbox),
    ):
        assert await house.rows("select issuer from realm") == [(ISSUER,)]


async def test_of_two_servers_that_start_at_the_same_time_with_two_issuers_one_is_refused(database_url):
    async with installation(database_url) as house:
        await house.ambient.database.execute("update realm set issuer = null")

        async def opens(issuer):
            async with ostiary(database_url, house.clock, house.outbox, issuer=issuer).opened():
                return issuer

        outcomes = await asyncio.gather(opens(ISSUER), opens(OTHER), return_exceptions=True)
        ((recorded,),) = await house.rows("select issuer from realm")
        assert recorded in outcomes
        assert sum(isinstance(outcome, ConfigurationError) for outcome in outcomes) == 1


async def test_moving_to_a_new_issuer_ends_all_sessions(database_url):
    async with installation(database_url) as house:
        person = await house.person("ada@example.com", "admin")
        tokens = await house.session(person)
        moved = ostiary(database_url, house.clock, house.outbox, issuer=OTHER).with_any_issuer()
        async with moved.opened():
            await moved.move_to_issuer(by(person))
        async with opened(
            ostiary(database_url, house.clock, house.outbox, issuer=OTHER), house.clock, house.outbox
        ) as other:
            assert (await other.refresh(tokens.refresh)).status_code == 401
            (event,) = await other.events("installation.issuer_changed")
            assert event["actor_id"] == person.id
            fresh = await other.session(person)
            assert fresh.claims["iss"] == OTHER
            assert await other.is_let_in(fresh.access)
