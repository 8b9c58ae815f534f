"""POST /auth/refresh: each token works once, and without a grace period a second use ends the family."""

import asyncio
from dataclasses import replace

import pytest

from ostiary.core.accounts.service import set_roles
from ostiary.core.opaque import Purpose, new_token
from ostiary.core.plug import Actor
from ostiary.core.sessions.service import set_disabled, sign_out_everywhere
from ostiary.errors import StoreUnavailable, Unavailable
from ostiary.settings import SessionSettings, TokenSettings
from tests.core.installation import installation, opened, ostiary, tokens_of, told

OPERATOR = Actor.operator("test")


async def test_each_use_returns_the_next_token_and_spends_the_old_one(database_url):
    """I4."""
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        seen = [tokens.refresh]
        for _ in range(5):
            answer = await house.refresh(seen[-1])
            renewed = tokens_of(answer)
            assert renewed.session_id == tokens.session_id
            assert await house.is_let_in(renewed.access)
            assert answer.headers["cache-control"] == "no-store"
            seen.append(renewed.refresh)
        assert len(set(seen)) == 6
        assert await house.rows("select generation from sessions") == [(6,)]
        spent = await house.rows("select generation from spent_refresh_tokens order by generation")
        assert [row[0] for row in spent] == [1, 2, 3, 4, 5]


async def test_a_second_use_ends_the_family_at_once_and_is_audited(database_url):
    """S01, RFC 9700 §4.14.2: the end is committed although the response is an error."""
    async with installation(database_url, TokenSettings(refresh_grace=0)) as house:
        person = await house.person()
        stolen = await house.session(person)
        other = await house.session(person)
        owners = tokens_of(await house.refresh(stolen.refresh))
        answer = await house.refresh(stolen.refresh, source="203.0.113.9", headers={"user-agent": "a thief"})
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
        for access in (stolen.access, owners.access):
            assert not await house.is_let_in(access), "access tokens end as well"
        assert (await house.refresh(owners.refresh)).status_code == 401
        (event,) = await house.events("tokens.refresh_token_reused")
        assert event["outcome"] == "refused"
        assert (event["account_id"], event["session_id"]) == (person.id, stolen.session_id)
        assert (event["source"], event["user_agent"]) == ("203.0.113.9", "a thief")
        (ended,) = await house.events("sessions.ended")
        assert ended["session_id"] == stolen.session_id
        assert await house.is_let_in(other.access), "another session of the account continues"
        assert (await house.refresh(other.refresh)).status_code == 200


async def test_using_any_earlier_token_ends_the_family(sqlite_url):
    async with installation(sqlite_url, TokenSettings(refresh_grace=0)) as house:
        first = await house.session(await house.person())
        second = tokens_of(await house.refresh(first.refresh))
        third = tokens_of(await house.refresh(second.refresh))
        assert (await house.refresh(first.refresh)).status_code == 401
        assert (await house.refresh(third.refresh)).status_code == 401
        assert len(await house.events("tokens.refresh_token_reused")) == 1, "an ended family is not recorded again"


async def test_of_fifty_concurrent_uses_one_succeeds_and_then_the_family_has_ended(database_url):
    """S02, CVE-2026-1035: a token never has two unspent successors."""
    async with installation(database_url, TokenSettings(refresh_grace=0)) as house:
        tokens = await house.session(await house.person())
        answers = await asyncio.gather(*(house.refresh(tokens.refresh) for _ in range(50)))
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 49
        (winner,) = [tokens_of(answer) for answer in answers if answer.status_code == 200]
        assert not await house.is_let_in(winner.access)
        assert (await house.refresh(winner.refresh)).status_code == 401
        assert len(await house.events("tokens.refresh_token_reused")) == 1
        assert await house.rows("select generation from sessions") == [(2,)]


async def test_of_fifty_concurrent_uses_on_two_servers_one_succeeds(database_url):
    async with installation(database_url, TokenSettings(refresh_grace=0)) as house:
        tokens = await house.session(await house.person())
        second = ostiary(database_url, house.clock, house.outbox, TokenSettings(refresh_grace=0))
        async with opened(second, house.clock, house.outbox) as other:
            answers = await asyncio.gather(*(each.refresh(tokens.refresh) for each in (house, other) * 25))
            assert sorted(answer.status_code for answer in answers) == [200] + [401] * 49
            (winner,) = [tokens_of(answer) for answer in answers if answer.status_code == 200]
            for each in (house, other):
                assert (await each.refresh(winner.refresh)).status_code == 401


async def test_families_do_not_wait_for_each_other(database_url):
    async with installation(database_url) as house:
        person = await house.person()
        several = [await house.session(person) for _ in range(20)]
        for _ in range(2):
            answers = await asyncio.gather(*(house.refresh(tokens.refresh) for tokens in several))
            several = [tokens_of(answer) for answer in answers]


async def test_a_family_ends_at_its_absolute_lifetime_however_often_it_is_refreshed(database_url):
    """S16, I5, I3: the end is absolute and exact to the second."""
    async with installation(database_url, SessionSettings(lifetime=1000)) as house:
        tokens = await house.session(await house.person())
        for _ in range(9):
            house.clock.advance(100)
            tokens = tokens_of(await house.refresh(tokens.refresh))
        house.clock.advance(99.999)
        tokens = tokens_of(await house.refresh(tokens.refresh))
        house.clock.advance(0.001)
        assert (await house.refresh(tokens.refresh)).status_code == 401
        await house.tidy()
        assert await house.rows("select * from sessions") == []
        assert await house.rows("select * from spent_refresh_tokens") == []


async def test_a_session_that_is_not_refreshed_ends_after_the_idle_time(database_url):
    """I3: exact to the microsecond. Each refresh extends the idle time."""
    async with installation(database_url, SessionSettings(idle=1000)) as house:
        tokens = await house.session(await house.person())
        for _ in range(3):
            house.clock.advance(999.999999)
            tokens = tokens_of(await house.refresh(tokens.refresh))
        house.clock.advance(1000)
        assert (await house.refresh(tokens.refresh)).status_code == 401
        assert await house.events("tokens.refresh_token_reused") == []


async def test_a_refresh_token_is_valid_for_the_whole_session(sqlite_url):
    async with installation(sqlite_url, SessionSettings(idle=30 * 86400)) as house:
        tokens = await house.session(await house.person())
        house.clock.advance(29 * 86400)
        assert (await house.refresh(tokens.refresh)).status_code == 200


@pytest.mark.parametrize("change", ["disabled", "enabled again", "everywhere", "deleted", "created again"])
async def test_ending_the_sessions_of_an_account_ends_their_refresh_tokens(database_url, change):
    """S05, L18, I6, I7: effective at once. Enabling the account again does not restore its sessions."""
    async with installation(database_url) as house:
        person = await house.person()
        tokens = await house.session(person)
        ambient = house.ambient
        if change in {"disabled", "enabled again"}:
            await set_disabled(ambient, OPERATOR, person.id, disabled=True)
            if change == "enabled again":
                await set_disabled(ambient, OPERATOR, person.id, disabled=False)
        elif change == "everywhere":
            assert await sign_out_everywhere(ambient, OPERATOR, person.id) == 1
        else:
            await ambient.database.execute("delete from accounts where id = $1", person.id)
            if change == "created again":
                await house.person()
        answer = await house.refresh(tokens.refresh)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
        assert not await house.is_let_in(tokens.access)
        assert await house.events("tokens.refresh_token_reused") == []


async def test_a_role_change_does_not_end_the_session(database_url):
    async with installation(database_url) as house:
        person = await house.person()
        tokens = await house.session(person)
        await set_roles(house.ambient, OPERATOR, person.id, add={"moderator"})
        assert not await house.is_let_in(tokens.access)
        renewed = tokens_of(await house.refresh(tokens.refresh))
        assert "moderator" in renewed.claims["roles"]
        assert await house.is_let_in(renewed.access)


async def test_malformed_refresh_tokens_cost_no_statement_and_get_identical_responses(sqlite_url):
    """S04, S06: an access token, tokens for other purposes, truncated, extended, in another letter case."""
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        good, random = tokens.refresh, house.ambient.random
        wrong = [
            "", " ", "x", good[:-1], good[:60], good + "0", good + good, good.upper(), good.title(), good + "\n",
            " " + good, "%20" + good, good.replace("_", "-"), tokens.access, "x" * 60_000,
            new_token(Purpose.VERIFY, random).text, new_token(Purpose.ATTEMPT, random).text,
        ]  # fmt: skip
        statements = []
        house.watch(statements.append)
        answers = [await house.refresh(token) for token in wrong]
        assert statements == []
        unknown = await house.refresh(new_token(Purpose.REFRESH, random).text)
        assert {str(told(answer)) for answer in answers} == {str(told(unknown))}
        assert (unknown.status_code, unknown.json()["code"]) == (401, "invalid_token")
        assert (await house.refresh(good)).status_code == 200


async def test_spent_ended_and_unknown_tokens_get_identical_responses(sqlite_url):
    """A thief who tries stolen tokens does not learn what happened to them."""
    async with installation(sqlite_url, SessionSettings(lifetime=60), TokenSettings(refresh_grace=0)) as house:
        person = await house.person()
        spent, ended, late = [await house.session(person) for _ in range(3)]
        await house.refresh(spent.refresh)
        await house.post("/logout", {"refresh_token": ended.refresh})
        answers = [
            await house.refresh(spent.refresh),
            await house.refresh(spent.refresh),
            await house.refresh(ended.refresh),
            await house.refresh(new_token(Purpose.REFRESH, house.ambient.random).text),
        ]
        house.clock.advance(60)
        answers.append(await house.refresh(late.refresh))
        assert len({str(told(answer)) for answer in answers}) == 1


async def test_a_request_without_a_token_gets_missing_token(sqlite_url):
    async with installation(sqlite_url) as house:
        for body in (None, {}, {"refresh_token": None}):
            answer = await house.post("/refresh", body)
            assert (answer.status_code, answer.json()["code"]) == (400, "missing_token")
        for body in ({"refresh_token": 5}, {"refresh_token": ["x"]}, {"refresh_token": {"$gt": ""}}, {"token": "x"}):
            assert (await house.post("/refresh", body)).status_code == 422
        tokens = await house.session(await house.person())
        for field in ("scope", "client_id", "resource_id", "roles", "grant_type"):
            answer = await house.post("/refresh", {"refresh_token": tokens.refresh, field: "admin"})
            assert answer.status_code == 422, "S03: no privileges are gained"
        assert (await house.post("/refresh", token=tokens.access)).status_code == 400, "an access token is not read"
        assert (await house.refresh(tokens.refresh)).status_code == 200


async def test_when_the_commit_fails_the_token_is_not_spent(sqlite_url):
    """N7: everything is rolled back, and the client may retry."""
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        failing = True

        def seen(sql):
            if failing and sql.startswith("insert into spent_refresh_tokens"):
                raise StoreUnavailable("disk full")

        house.watch(seen)
        answer = await house.refresh(tokens.refresh)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        failing = False
        assert (await house.refresh(tokens.refresh)).status_code == 200


async def test_a_key_revoked_between_grant_and_signature_does_not_end_the_session(sqlite_url):
    """The key is chosen in the transaction. Otherwise a 503 would spend the token and a retry would look like theft."""
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        keys, taken = house.ambient.keys, []

        class Revoked:
            """Has no signing key once the grant is made, as if the feed had revoked it at this moment."""

            def __getattr__(self, name):
                return getattr(keys, name)

            @property
            def current(self):
                taken.append(None)
                if len(taken) > 2:
                    raise Unavailable("revoked")
                return keys.current

        house.auth._ambient = replace(house.ambient, keys=Revoked())
        answer = await house.refresh(tokens.refresh)
        assert answer.status_code == 200
        house.auth._ambient = replace(house.ambient, keys=keys)
        assert (await house.refresh(answer.json()["refresh_token"])).status_code == 200
        assert await house.events("tokens.refresh_token_reused") == []
