"""One database has one issuer."""

import asyncio

import pytest

from ostiary import Ostiary
from ostiary.core.issuer import recorded
from ostiary.errors import ConfigurationError
from tests.core.installation import ISSUER, SECRET, by, installation, opened, ostiary, tokens_of

OTHER = "https://other.example.com"


async def test_a_second_server_with_another_issuer_is_refused_at_start(database_url):
    """Otherwise a refresh token of one would get access tokens of the other."""
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        other = ostiary(database_url, house.clock, house.outbox, issuer=OTHER)
        with pytest.raises(
            ConfigurationError, match=f"belongs to the issuer {ISSUER}, but this server is configured as {OTHER}"
        ):
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


async def test_a_server_that_runs_while_the_database_moves_issues_nothing_more(database_url):
    """Its refresh tokens would be good at the new issuer. It answers 503 and is not ready."""
    async with installation(database_url) as house:
        person = await house.person("ada@example.com", "admin")
        tokens = await house.session(person)
        moved = ostiary(database_url, house.clock, house.outbox, issuer=OTHER).with_any_issuer()
        async with moved.opened():
            await moved.move_to_issuer(by(person))
        ready = await house.ask("GET", "/readyz")
        assert (ready.status_code, ready.json()["part"]) == (503, "issuer")
        answer = await house.login(person.email)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert (await house.refresh(tokens.refresh)).status_code == 401, "its session has ended"


async def test_a_script_that_states_no_issuer_does_not_claim_the_database(sqlite_url):
    """The server that starts later, on another port, would be refused."""
    script = Ostiary(sqlite_url, secret=SECRET, environ={}, config=None)
    async with script.opened():
        assert await recorded(script.ambient.database) is None
    async with installation(sqlite_url) as house:
        assert await recorded(house.ambient.database) == ISSUER
