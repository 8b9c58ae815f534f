"""Signing everybody out: one row changes, and no earlier session survives."""

import asyncio
import threading

import pytest

from ostiary.core.accounts import queries
from ostiary.core.plug import Actor
from ostiary.core.sessions.service import sign_out_everybody, sign_out_everywhere
from ostiary.errors import Forbidden
from tests.core.installation import by, eventually, installation, opened, ostiary, tokens_of
from tests.core.sign_in.test_dispatcher import begin, finish, plugged
from tests.core.tokens.test_revocation import two

OPERATOR = Actor.operator("test")
EXACT = 2**53  # RFC 8259 §6


async def least(house):
    ((number,),) = await house.rows("select least from realm")
    return number


async def test_all_tokens_of_all_accounts_are_refused_here_at_once_and_elsewhere_soon(database_url):
    """I7, S05."""
    async with two(database_url) as (house, other):
        people = [await house.person(f"{name}@example.com") for name in ("ada", "bob", "eve")]
        everything = [await each.session(person) for person in people for each in (house, other)]
        for each in (house, other):
            assert all([await each.is_let_in(tokens.access) for tokens in everything])
        await sign_out_everybody(house.ambient, OPERATOR)
        assert not any([await house.is_let_in(tokens.access) for tokens in everything])
        for tokens in everything:
            assert (await house.refresh(tokens.refresh)).status_code == 401
            assert (await other.refresh(tokens.refresh)).status_code == 401, "this does not need the feed"
            await eventually(lambda tokens=tokens: other.get("/me", token=tokens.access), 401)


async def test_a_later_sign_in_works_everywhere(database_url):
    async with two(database_url) as (house, other):
        person = await house.person()
        before = await house.session(person)
        await sign_out_everybody(house.ambient, OPERATOR)
        after = tokens_of(await house.login())
        assert after.claims["ver"] > before.claims["ver"]
        await eventually(lambda: other.get("/me", token=before.access), 401)
        for each in (house, other):
            assert await each.is_let_in(after.access)
        assert (await other.refresh(after.refresh)).status_code == 200
        listed = (await other.get("/sessions", token=after.access)).json()["sessions"]
        assert [session["id"] for session in listed] == [after.session_id]


async def test_a_server_that_starts_later_refuses_the_old_tokens(database_url):
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        await sign_out_everybody(house.ambient, OPERATOR)
        second = ostiary(database_url, house.clock, house.outbox)
        async with opened(second, house.clock, house.outbox) as other:
            assert not await other.is_let_in(tokens.access)


async def test_a_spent_refresh_token_does_not_count_as_theft_afterwards(database_url):
    """Within or after its grace period: the owner gets no mail about theft, and none is recorded."""
    async with installation(database_url) as house:
        first = await house.session(await house.person())
        second = tokens_of(await house.refresh(first.refresh))
        await sign_out_everybody(house.ambient, OPERATOR)
        for _ in range(2):
            for tokens in (first, second):
                assert (await house.refresh(tokens.refresh)).json()["code"] == "invalid_token"
            house.clock.advance(60)
        assert await house.events("tokens.refresh_token_reused") == []
        assert await house.mails() == []


async def test_no_row_of_an_account_or_session_changes(database_url):
    """So it is immediate even for millions of sessions. It is recorded once, with the actor."""
    async with installation(database_url) as house:
        ada = await house.person("ada@example.com", "admin")
        for _ in range(3):
            await house.session(ada)
        tables = ("accounts", "sessions", "spent_refresh_tokens")
        before = [await house.rows(f"select * from {table}") for table in tables]
        await sign_out_everybody(house.ambient, by(ada))
        assert [await house.rows(f"select * from {table}") for table in tables] == before
        (event,) = await house.events("sessions.ended_everybodys")
        assert (event["actor_id"], event["outcome"]) == (ada.id, "success")
        assert len(await house.rows("select * from feed where kind = 'everything'")) == 1


async def test_open_sign_ins_end(database_url, monkeypatch):
    async with plugged(database_url, monkeypatch) as house:
        attempt = await begin(house)
        await sign_out_everybody(house.ambient, OPERATOR)
        answer = await finish(house, attempt)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_code")
        assert await house.rows("select * from sessions") == []
        assert await house.is_let_in(tokens_of(await finish(house, await begin(house))).access)


async def test_it_works_twice_within_a_minute(database_url):
    async with installation(database_url) as house:
        person, seen = await house.person(), [await least(house)]
        for _ in range(3):
            tokens = await house.session(person)
            await sign_out_everybody(house.ambient, OPERATOR)
            assert not await house.is_let_in(tokens.access)
            assert (await house.refresh(tokens.refresh)).status_code == 401
            seen.append(await least(house))
        assert seen == sorted(set(seen)), "each is higher than the one before"


async def test_the_minimum_epoch_is_above_every_account_epoch_and_exact_in_json(database_url):
    async with installation(database_url) as house:
        person = await house.person()
        await sign_out_everybody(house.ambient, OPERATOR)
        for _ in range(5):
            await sign_out_everywhere(house.ambient, OPERATOR, person.id)
        before = await house.session(person)
        for year in range(60):
            house.clock.advance(365 * 86400 if year else 0)
            await sign_out_everybody(house.ambient, OPERATOR)
            assert before.claims["ver"] < await least(house) < EXACT


async def test_a_concurrent_sign_in_is_either_fully_valid_or_not_at_all(database_url):
    """Each round has one sign-in before, two concurrent ones and one after. No one ends up with a valid access token
    for a session that has ended."""
    async with installation(database_url) as house:
        await house.person()
        for _ in range(4):
            before = tokens_of(await house.login())
            racing = [asyncio.ensure_future(house.login()) for _ in range(2)]
            await asyncio.sleep(0.01)
            await sign_out_everybody(house.ambient, OPERATOR)
            answers = [*await asyncio.gather(*racing), await house.login()]
            assert not await house.is_let_in(before.access)
            assert (await house.refresh(before.refresh)).status_code == 401
            for answer in answers[:-1]:
                assert answer.status_code in {200, 401}
                if answer.status_code == 200 and await house.is_let_in(tokens_of(answer).access):
                    assert (await house.refresh(tokens_of(answer).refresh)).status_code == 200
            assert await house.is_let_in(tokens_of(answers[-1]).access)


async def test_a_concurrent_refresh_issues_no_token_that_stays_valid(shared_postgres_url, monkeypatch):
    """The session is read as alive, then everybody is signed out, and only then is the new epoch read."""
    async with installation(shared_postgres_url) as house:
        tokens = await house.session(await house.person())
        standing, waiting = queries.standing, [True]

        def after_everybody_is_signed_out(reader, account_id):
            if waiting:
                waiting.clear()
                # a body may only await its transaction, so this runs in a thread with its own event loop
                elsewhere = threading.Thread(target=asyncio.run, args=(signing_out(shared_postgres_url, house.clock),))
                elsewhere.start()
                elsewhere.join()
            return standing(reader, account_id)

        monkeypatch.setattr(queries, "standing", after_everybody_is_signed_out)
        answer = await house.refresh(tokens.refresh)
        assert not waiting
        assert await least(house) > 0
        await house.auth._assembly._follower.catch_up()
        assert answer.status_code == 401 or not await house.is_let_in(tokens_of(answer).access)


async def signing_out(url, clock):
    async with ostiary(url, clock).opened() as house:
        await sign_out_everybody(house.ambient, OPERATOR)


async def test_signing_everybody_out_requires_users_write(sqlite_url):
    async with installation(sqlite_url) as house:
        moderator, nobody = await house.person("mo@example.com", "moderator"), await house.person()
        tokens = await house.session(nobody)
        for person in (moderator, nobody):
            with pytest.raises(Forbidden):
                await sign_out_everybody(house.ambient, by(person))
        assert await house.is_let_in(tokens.access)
        assert await least(house) == 0
