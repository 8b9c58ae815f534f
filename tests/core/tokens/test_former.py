"""Refresh tokens in the former format: sessions that began before an upgrade continue, and both versions can run."""

import pytest

from ostiary.core.tokens.former import SIDE_BY_SIDE
from ostiary.errors import StoreUnavailable
from ostiary.settings import SessionSettings, TokenSettings
from ostiary.store.hot import Rate
from tests.core.installation import SECRET, installation, opened, ostiary, tokens_of

GRACE = 10
REUSED = "tokens.refresh_token_reused"
NEW_SECRET = "pQ3vX9mZ7tB5nK1cW8yL4rD6hJ2gF0sA-uE_iO5xT3k"


def is_former(tokens):
    return len(tokens.refresh) == len("ostiary_refresh_") + 72


@pytest.fixture
def upgraded(database_url):
    """Lets an installation behave as if it was upgraded a moment ago, or ``later``, when the hour is over."""

    def at(house, *, later):
        now = house.clock.now()
        end = now - 1 if later else now + SIDE_BY_SIDE * 1_000_000
        object.__setattr__(house.ambient, "former_tokens_until", end)

    return at


async def test_an_upgraded_installation_issues_the_former_format_for_an_hour(database_url):
    """Servers of the version before cannot read the new one, and all of them are replaced within the hour."""
    async with installation(database_url) as house:
        assert house.ambient.former_tokens_until == 0, "a new installation has no earlier version"
        ((applied,),) = await house.rows("select applied_at from store_migration where slice = 'tokens' and number = 4")
        await house.ambient.database.execute("update refresh_format set upgraded = 1")
        again = ostiary(database_url, house.clock, house.outbox)
        async with opened(again, house.clock, house.outbox) as other:
            assert other.ambient.former_tokens_until == applied + SIDE_BY_SIDE * 1_000_000


async def test_a_session_continues_in_the_new_format_after_the_hour(database_url, upgraded):
    async with installation(database_url) as house:
        person = await house.person()
        upgraded(house, later=False)
        first = await house.session(person)
        second = tokens_of(await house.refresh(first.refresh))
        assert is_former(first)
        assert is_former(second)
        assert tokens_of(await house.refresh(first.refresh)).refresh == second.refresh
        upgraded(house, later=True)
        third = tokens_of(await house.refresh(second.refresh))
        assert not is_former(third)
        assert tokens_of(await house.refresh(first.refresh)).refresh == third.refresh, "through both formats"
        assert tokens_of(await house.refresh(second.refresh)).refresh == third.refresh
        fourth = tokens_of(await house.refresh(third.refresh))
        assert tokens_of(await house.refresh(first.refresh)).refresh == fourth.refresh
        assert await house.rows("select generation from sessions") == [(4,)]
        assert await house.events(REUSED) == []
        assert await house.is_let_in(fourth.access)


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("which", [0, 1])
async def test_a_spent_token_in_the_former_format_reveals_a_theft(database_url, upgraded, later, which):
    async with installation(database_url) as house:
        person = await house.person()
        upgraded(house, later=False)
        chain = [await house.session(person)]
        for _ in range(2):
            chain.append(tokens_of(await house.refresh(chain[-1].refresh)))
        upgraded(house, later=later)
        chain.append(tokens_of(await house.refresh(chain[-1].refresh)))
        house.clock.advance(GRACE)
        assert (await house.refresh(chain[which].refresh)).status_code == 401
        assert (await house.refresh(chain[-1].refresh)).status_code == 401
        assert not await house.is_let_in(chain[-1].access)
        assert len(await house.events(REUSED)) == 1
        assert len(await house.mails()) == 1


async def test_without_a_grace_period_any_second_use_is_a_reuse(database_url, upgraded):
    async with installation(database_url, TokenSettings(refresh_grace=0)) as house:
        person = await house.person()
        upgraded(house, later=False)
        first = await house.session(person)
        tokens_of(await house.refresh(first.refresh))
        assert (await house.refresh(first.refresh)).status_code == 401
        assert len(await house.events(REUSED)) == 1


async def test_the_limit_counts_and_spends_nothing(database_url, upgraded):
    async with installation(database_url, SessionSettings(refresh_limit=Rate(2, 60))) as house:
        person = await house.person()
        upgraded(house, later=False)
        tokens = await house.session(person)
        for _ in range(2):
            tokens = tokens_of(await house.refresh(tokens.refresh))
        assert (await house.refresh(tokens.refresh)).status_code == 429
        house.clock.advance(30)
        tokens_of(await house.refresh(tokens.refresh))


async def test_signing_out_ends_the_session_and_forgets_the_way_to_its_successors(database_url, upgraded):
    async with installation(database_url) as house:
        person = await house.person()
        upgraded(house, later=False)
        first = await house.session(person)
        second = tokens_of(await house.refresh(first.refresh))
        await house.post("/logout", {"refresh_token": first.refresh})
        assert not await house.is_let_in(second.access)
        for tokens in (first, second):
            assert (await house.refresh(tokens.refresh)).status_code == 401
        assert await house.rows("select 1 from refresh_tokens where sealed_successor is not null") == []


async def test_sealed_successors_are_deleted_after_a_minute(database_url, upgraded):
    async with installation(database_url) as house:
        person = await house.person()
        upgraded(house, later=False)
        first = await house.session(person)
        await house.refresh(first.refresh)
        house.clock.advance(61)
        await house.tidy()
        assert await house.rows("select 1 from refresh_tokens where sealed_successor is not null") == []
        assert len(await house.rows("select 1 from refresh_tokens")) == 2


async def test_a_server_without_the_sealing_secret_answers_503(sqlite_url, upgraded):
    async with installation(sqlite_url, secret=f"{NEW_SECRET} {SECRET}") as house:
        person = await house.person()
        upgraded(house, later=False)
        first = await house.session(person)
        lost = tokens_of(await house.refresh(first.refresh))
        async with opened(ostiary(sqlite_url, house.clock, house.outbox), house.clock, house.outbox) as behind:
            assert (await behind.refresh(first.refresh)).status_code == 503
        assert tokens_of(await house.refresh(first.refresh)).refresh == lost.refresh


async def test_when_the_commit_fails_neither_format_loses_the_token(sqlite_url, upgraded):
    async with installation(sqlite_url) as house:
        person = await house.person()
        upgraded(house, later=False)
        tokens = await house.session(person)
        upgraded(house, later=True)
        failing = True

        def seen(sql):
            if failing and sql.startswith("update refresh_tokens"):
                raise StoreUnavailable("disk full")

        house.watch(seen)
        assert (await house.refresh(tokens.refresh)).status_code == 503
        failing = False
        assert not is_former(tokens_of(await house.refresh(tokens.refresh)))
