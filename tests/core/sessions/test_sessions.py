"""Sessions: what GET /auth/me returns, and what ends a session."""

import asyncio

import pytest

from ostiary.core.plug import Actor
from ostiary.core.sessions.service import set_disabled, sign_out_everywhere
from ostiary.settings import SessionSettings
from tests.core.installation import EMAIL, installation, tokens_of

OPERATOR = Actor.operator("test")


async def test_me_returns_the_account_and_the_session(database_url):
    async with installation(database_url) as house:
        person = await house.person("Ada@example.com", "admin")
        tokens = tokens_of(await house.login(device_name="a telephone"))
        answer = await house.get("/me", token=tokens.access)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json() == {
            "account": {
                "id": person.id,
                "email": "Ada@example.com",
                "email_verified": True,
                "created_at": "2027-01-15T08:00:00Z",
            },
            "roles": ["admin", "user"],
            "permissions": ["audit:read", "keys:write", "users:read", "users:write"],
            "session": {
                "id": tokens.session_id,
                "created_at": "2027-01-15T08:00:00Z",
                "expires_at": "2027-02-14T08:00:00Z",
                "device_name": "a telephone",
            },
            "amr": ["pwd"],
        }


async def test_reading_my_account_costs_one_statement(database_url):
    """Apps ask at every start. Five statements and two threads made it dearer than verifying the token."""
    async with installation(database_url) as house:
        tokens = await house.session(await house.person(EMAIL, "admin", "moderator"))
        statements = []
        house.watch(statements.append)
        assert await house.is_let_in(tokens.access)
        assert len(statements) == 1


async def test_me_returns_no_data_of_other_accounts_and_no_secrets(sqlite_url):
    async with installation(sqlite_url) as house:
        ada, bob = await house.person("ada@example.com"), await house.person("bob@example.com")
        mine, others = await house.session(ada), await house.session(bob)
        answer = await house.get(f"/me?account_id={bob.id}", token=mine.access, headers={"x-user-id": bob.id})
        assert answer.json()["account"]["id"] == ada.id
        for secret in ("$argon2", bob.id, others.session_id, mine.access, mine.refresh, "epoch"):
            assert secret not in answer.text


@pytest.mark.parametrize("gone", ["account", "session"])
async def test_a_token_whose_rows_were_deleted_is_refused(database_url, gone):
    """B7: the subject must exist and be active."""
    async with installation(database_url) as house:
        person = await house.person()
        tokens = await house.session(person)
        await house.ambient.database.execute(f"delete from {gone}s")
        answer = await house.get("/me", token=tokens.access)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


async def test_signing_out_everywhere_ends_and_counts_all_sessions_of_one_account(database_url):
    async with installation(database_url) as house:
        ada, bob = await house.person("ada@example.com"), await house.person("bob@example.com")
        mine = [await house.session(ada) for _ in range(3)]
        others = await house.session(bob)
        await house.post("/logout", {"refresh_token": mine[0].refresh})
        assert await sign_out_everywhere(house.ambient, OPERATOR, ada.id) == 2
        for tokens in mine:
            assert not await house.is_let_in(tokens.access)
            assert (await house.refresh(tokens.refresh)).status_code == 401
        assert await house.is_let_in(others.access)
        assert await sign_out_everywhere(house.ambient, OPERATOR, ada.id) == 0
        fresh = await house.session(ada)
        assert await house.is_let_in(fresh.access), "the account can sign in again"


async def test_disabling_ends_sessions_and_enabling_allows_only_new_sign_ins(database_url):
    """I7, L18: a session stolen before the account was disabled must not work after it is enabled again."""
    async with installation(database_url) as house:
        ada = await house.person()
        stolen = await house.session(ada)
        await set_disabled(house.ambient, OPERATOR, ada.id, disabled=True)
        assert not await house.is_let_in(stolen.access)
        assert (await house.login()).status_code == 401
        await set_disabled(house.ambient, OPERATOR, ada.id, disabled=True)  # a second call has no further effect
        await set_disabled(house.ambient, OPERATOR, ada.id, disabled=False)
        assert not await house.is_let_in(stolen.access)
        assert (await house.refresh(stolen.refresh)).status_code == 401
        assert (await house.login()).status_code == 200
        (row,) = await house.rows("select end_reason from sessions where id = $1", stolen.session_id)
        assert row[0] == "account_disabled"


async def test_no_refresh_survives_a_concurrent_disable(database_url):
    """In the first round the refresh comes first, in the last round disabling does, and in between either may."""
    seen, rounds = [], 6
    async with installation(database_url) as house:
        for number in range(rounds):
            ada = await house.person(f"ada{number}@example.com")
            tokens = await house.session(ada)
            refreshing = asyncio.ensure_future(house.refresh(tokens.refresh)) if number < rounds - 1 else None
            await (asyncio.wait([refreshing]) if number == 0 else asyncio.sleep(0.0005 * number))
            await set_disabled(house.ambient, OPERATOR, ada.id, disabled=True)
            answer = await (refreshing or house.refresh(tokens.refresh))
            seen.append(answer.status_code)
            newest = tokens_of(answer) if answer.status_code == 200 else tokens
            assert not await house.is_let_in(newest.access)
            assert (await house.refresh(newest.refresh)).status_code == 401
    assert set(seen) == {200, 401}


async def test_a_session_stores_its_source_and_user_agent(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.person()
        tokens = tokens_of(await house.login(source="203.0.113.9", headers={"user-agent": "Firefox\x1b[31m\x7f"}))
        (row,) = await house.rows("select source, user_agent, last_seen_at from sessions")
        assert row[0] == "203.0.113.9"
        assert row[1].startswith("Firefox")
        assert row[1].isprintable(), "P04: no character in it controls a terminal"
        house.clock.advance(60)
        await house.refresh(tokens.refresh)
        (later,) = await house.rows("select last_seen_at from sessions")
        assert later[0] - row[2] == 60_000_000


async def test_expired_sessions_are_swept_with_their_tokens(database_url):
    async with installation(database_url, SessionSettings(lifetime=60)) as house:
        person = await house.person()
        old = await house.session(person)
        house.clock.advance(30)
        young = await house.session(person)
        for tokens in (old, young):
            await house.refresh(tokens.refresh)
        house.clock.advance(30)
        await house.tidy()
        assert await house.rows("select id from sessions") == [(young.session_id,)]
        assert await house.rows("select session_id from spent_refresh_tokens") == [(young.session_id,)]
