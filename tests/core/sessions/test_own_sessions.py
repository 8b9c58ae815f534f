"""Sessions as their owner sees and ends them: one by one, or all."""

import asyncio
import json

import pytest

from ostiary.core.sessions.model import SessionOptions
from ostiary.settings import SessionSettings, TokenSettings
from tests.core.devices.signing_in import CHROME, sign_in
from tests.core.installation import SAME_ORIGIN, installation, tokens_of, told
from tests.core.sign_in.test_cookies import ACCESS, REFRESH, cookies_of, sent


async def listed(house, token):
    answer = await house.get("/sessions", token=token)
    assert answer.status_code == 200, answer.text
    return answer.json()["sessions"]


async def end(house, session_id, token, **options):
    return await house.ask("DELETE", f"/auth/sessions/{session_id}", token=token, **options)


async def end_all(house, token, **options):
    return await house.ask("DELETE", "/auth/sessions", token=token, **options)


async def test_the_owner_sees_every_live_session_newest_first(database_url):
    async with installation(database_url) as house:
        ada, bob = await house.person("ada@example.com"), await house.person("bob@example.com")
        await house.session(bob)
        first = await sign_in(house, headers={"user-agent": CHROME}, source="192.0.2.1")
        ended = await house.session(ada)
        await house.post("/logout", {"refresh_token": ended.refresh})
        house.clock.advance(60)
        without = await house.session(ada, SessionOptions(device_name="a loom"))
        house.clock.advance(60)
        await house.refresh(first.tokens.refresh)
        answer = await house.get("/sessions", token=without.access)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json() == {
            "sessions": [
                {
                    "id": without.session_id,
                    "device": None,
                    "device_name": "a loom",
                    "ip": "",
                    "user_agent": "",
                    "created_at": "2027-01-15T08:01:00Z",
                    "last_seen": "2027-01-15T08:01:00Z",
                    "expires_at": "2027-02-14T08:01:00Z",
                    "current": True,
                },
                {
                    "id": first.tokens.session_id,
                    "device": {"id": first.device_id, "name": "Chrome on Windows"},
                    "device_name": None,
                    "ip": "192.0.2.1",
                    "user_agent": CHROME,
                    "created_at": "2027-01-15T08:00:00Z",
                    "last_seen": "2027-01-15T08:02:00Z",
                    "expires_at": "2027-02-14T08:00:00Z",
                    "current": False,
                },
            ]
        }


async def test_expired_sessions_are_not_shown_and_cannot_be_ended(database_url):
    async with installation(database_url, SessionSettings(lifetime=600), TokenSettings(access_lifetime=300)) as house:
        ada = await house.person()
        old = await house.session(ada)
        house.clock.advance(599)
        new = await house.session(ada)
        assert [each["id"] for each in await listed(house, new.access)] == [new.session_id, old.session_id]
        house.clock.advance(1)
        assert [each["id"] for each in await listed(house, new.access)] == [new.session_id]
        assert (await end(house, old.session_id, new.access)).status_code == 404


async def test_ending_one_session_is_immediate_and_ends_no_other(database_url):
    async with installation(database_url) as house:
        ada = await house.person()
        here, there = await house.session(ada), await house.session(ada)
        answer = await end(house, there.session_id, here.access)
        assert (answer.status_code, answer.content) == (204, b"")
        assert not await house.is_let_in(there.access)
        assert (await house.refresh(there.refresh)).status_code == 401
        assert await house.is_let_in(here.access)
        (event,) = await house.events("sessions.ended")
        assert (event["account_id"], event["session_id"], event["actor_id"]) == (ada.id, there.session_id, ada.id)
        assert json.loads(event["detail"]) == {"reason": "ended_by_owner"}
        assert (await end(house, there.session_id, here.access)).status_code == 404, "it no longer exists"


async def test_resources_of_another_account_are_not_found(database_url):
    """S08: the response is the same as for an unknown id, and nothing changes."""
    async with installation(database_url) as house:
        ada, bob = await house.person("ada@example.com"), await house.person("bob@example.com")
        mine, bobs, ended = await house.session(ada), await house.session(bob), await house.session(ada)
        await house.post("/logout", {"refresh_token": ended.refresh})
        tables = ("sessions", "spent_refresh_tokens", "audit_events", "feed")
        before = [await house.rows(f"select * from {table}") for table in tables]
        never = "ses_" + "a" * 26
        others = [bobs.session_id, never, ended.session_id, bob.id, "1", "0", "..", "%2e%2e", "'", bobs.session_id[:-1]]
        answers = [await end(house, asked, mine.access) for asked in others]
        assert {answer.status_code for answer in answers} == {404}
        assert told(answers[0]) == told(answers[1]) == told(answers[2])
        assert [await house.rows(f"select * from {table}") for table in tables] == before
        assert await house.is_let_in(bobs.access)
        assert [each["id"] for each in await listed(house, mine.access)] == [mine.session_id]


async def test_signing_out_everywhere_leaves_no_session_and_no_token(database_url):
    async with installation(database_url) as house:
        ada, bob = await house.person("ada@example.com"), await house.person("bob@example.com")
        mine = [await house.session(ada) for _ in range(3)]
        bobs = await house.session(bob)
        answer = await end_all(house, mine[0].access)
        assert (answer.status_code, answer.content) == (204, b"")
        for tokens in mine:
            assert not await house.is_let_in(tokens.access)
            assert (await house.refresh(tokens.refresh)).status_code == 401
        assert await house.is_let_in(bobs.access)
        (event,) = await house.events("sessions.ended_all")
        assert (event["account_id"], event["actor_id"]) == (ada.id, ada.id)
        fresh = await sign_in(house)
        assert fresh.tokens.claims["ver"] > mine[0].claims["ver"]
        assert await house.is_let_in(fresh.tokens.access)


@pytest.mark.parametrize("path", ["/auth/sessions", "/auth/sessions/{}"])
async def test_a_browser_that_ends_its_own_session_loses_its_tokens_and_keeps_its_device(database_url, path):
    async with installation(database_url) as house:
        await house.person()
        browser = await house.login(transport="cookie", headers=SAME_ORIGIN)
        path = path.format(browser.json()["session_id"])
        answer = await house.ask("DELETE", path, headers={**SAME_ORIGIN, **sent(browser)})
        assert answer.status_code == 204
        assert {name: value for name, (value, _) in cookies_of(answer).items()} == {ACCESS: "", REFRESH: ""}
        assert all("max-age=0" in attributes for _, attributes in cookies_of(answer).values())
        assert answer.headers["clear-site-data"] == '"cache", "storage"', "the device cookie is kept"


async def test_a_browser_that_ends_another_session_keeps_its_own(sqlite_url):
    async with installation(sqlite_url) as house:
        ada = await house.person()
        other = await house.session(ada)
        browser = await house.login(transport="cookie", headers=SAME_ORIGIN)
        answer = await end(house, other.session_id, None, headers={**SAME_ORIGIN, **sent(browser)})
        assert (answer.status_code, cookies_of(answer)) == (204, {})
        assert "clear-site-data" not in answer.headers


@pytest.mark.parametrize("said", [{}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}])
async def test_another_site_cannot_end_the_sessions_of_a_browser(sqlite_url, said):
    """S12."""
    async with installation(sqlite_url) as house:
        await house.person()
        browser = await house.login(transport="cookie", headers=SAME_ORIGIN)
        headers = {**said, **sent(browser)}
        for answer in (
            await end_all(house, None, headers=headers),
            await end(house, browser.json()["session_id"], None, headers=headers),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "cross_site_request")
        assert await house.rows("select id from sessions where ended_at is not null") == []


async def test_a_token_of_an_ended_session_can_neither_list_nor_end_sessions(database_url):
    async with installation(database_url) as house:
        ada = await house.person()
        here, there = await house.session(ada), await house.session(ada)
        await end(house, there.session_id, here.access)
        assert (await house.get("/sessions", token=there.access)).status_code == 401
        assert (await end(house, here.session_id, there.access)).status_code == 401
        assert (await end_all(house, there.access)).status_code == 401
        assert (await house.get("/sessions")).status_code == 401
        assert await house.is_let_in(here.access)


async def test_twenty_concurrent_requests_end_a_session_once(database_url):
    async with installation(database_url) as house:
        ada = await house.person()
        here, there = await house.session(ada), await house.session(ada)
        answers = await asyncio.gather(*(end(house, there.session_id, here.access) for _ in range(20)))
        statuses = {answer.status_code for answer in answers}
        assert 204 in statuses <= {204, 404}, "a concurrent request gets either 204 or 404"
        assert len(await house.events("sessions.ended")) == 1
        assert not await house.is_let_in(there.access)


async def test_no_refresh_survives_a_concurrent_end(database_url):
    """After the response, no refresh token of the session is valid, however new."""
    async with installation(database_url) as house:
        ada = await house.person()
        here = await house.session(ada)
        for number in range(6):
            there = await house.session(ada)
            refreshing = asyncio.ensure_future(house.refresh(there.refresh))
            await asyncio.sleep(0.0005 * number)
            assert (await end(house, there.session_id, here.access)).status_code == 204
            answer = await refreshing
            newest = tokens_of(answer) if answer.status_code == 200 else there
            assert not await house.is_let_in(newest.access)
            assert (await house.refresh(newest.refresh)).status_code == 401
