"""The session limit per account: the next sign-in ends the oldest session or is refused."""

import asyncio

import pytest

from ostiary.core.plug import Actor
from ostiary.core.sessions.service import set_disabled, sign_out_everybody
from ostiary.settings import SessionSettings
from tests.core.installation import installation, opened, ostiary, tokens_of

OPERATOR = Actor.operator("test")


async def sign_in(house, count=1, **options):
    """Sign-ins one after the other, a second apart."""
    several = []
    for _ in range(count):
        house.clock.advance(1)
        several.append(tokens_of(await house.login(**options)))
    return several


async def live(house):
    return {row[0] for row in await house.rows("select id from sessions where ended_at is null")}


async def test_the_sixth_sign_in_ends_the_oldest_session_at_once(database_url):
    """I14: five by default, effective at once in every process."""
    async with installation(database_url, SessionSettings(limit=5)) as house:
        await house.person()
        several = await sign_in(house, 5)
        assert all([await house.is_let_in(tokens.access) for tokens in several])
        (sixth,) = await sign_in(house)
        assert not await house.is_let_in(several[0].access)
        assert (await house.refresh(several[0].refresh)).status_code == 401
        for tokens in (*several[1:], sixth):
            assert await house.is_let_in(tokens.access)
        (event,) = await house.events("sessions.ended")
        assert event["session_id"] == several[0].session_id
        assert "too_many_sessions" in event["detail"]


async def test_with_the_refuse_policy_the_sign_in_fails_and_leaves_only_an_audit_event(database_url):
    async with installation(database_url, SessionSettings(limit=2, limit_policy="refuse")) as house:
        await house.person()
        first, second = await sign_in(house, 2)
        devices = await house.rows("select id from devices order by id")
        mails = len(await house.mails())
        answer = await house.login()
        assert (answer.status_code, answer.json()["code"]) == (409, "too_many_sessions")
        assert await live(house) == {first.session_id, second.session_id}
        assert await house.rows("select id from devices order by id") == devices
        assert len(await house.mails()) == mails
        assert len(await house.events("sign_in.refused")) == 1
        assert (await house.login(password="wrong")).status_code == 401, "only after the right password"
        await house.post("/logout", {"refresh_token": first.refresh})
        assert (await house.login()).status_code == 200


@pytest.mark.parametrize("policy", ["end-oldest", "refuse"])
async def test_twenty_concurrent_sign_ins_do_not_exceed_the_limit(database_url, policy):
    """On two servers: the account row is the lock."""
    settings = SessionSettings(limit=3, limit_policy=policy)
    async with installation(database_url, settings) as house:
        await house.person()
        second = ostiary(database_url, house.clock, house.outbox, settings)
        async with opened(second, house.clock, house.outbox) as other:
            answers = await asyncio.gather(*(each.login() for each in (house, other) * 10))
        granted = [answer for answer in answers if answer.status_code == 200]
        assert len(granted) == (20 if policy == "end-oldest" else 3)
        assert len(await live(house)) == 3


async def test_ended_sessions_do_not_count(sqlite_url):
    async with installation(sqlite_url, SessionSettings(limit=2, limit_policy="refuse", idle=100)) as house:
        person = await house.person()
        await sign_in(house, 2)
        house.clock.advance(100)
        await sign_in(house, 2)
        await set_disabled(house.ambient, OPERATOR, person.id, disabled=True)
        await set_disabled(house.ambient, OPERATOR, person.id, disabled=False)
        await sign_in(house, 2)
        await sign_out_everybody(house.ambient, OPERATOR)
        await sign_in(house, 2)
        assert (await house.login()).status_code == 409


async def test_each_account_has_its_own_limit(sqlite_url):
    async with installation(sqlite_url, SessionSettings(limit=1)) as house:
        await house.person()
        await house.person("bob@example.com")
        adas, bobs = await sign_in(house), await sign_in(house, email="bob@example.com")
        assert await live(house) == {adas[0].session_id, bobs[0].session_id}
