"""Forgetting a device: its sessions end at once, and it counts as new at its next sign-in."""

import asyncio
import json

import pytest

from ostiary.core.accounts.service import set_roles
from ostiary.core.devices.service import forget
from ostiary.core.plug import Actor
from ostiary.core.sessions.model import SessionOptions
from ostiary.errors import Forbidden, NotFound
from tests.core.devices.signing_in import CHROME, devices, seen, sign_in
from tests.core.installation import SAME_ORIGIN, by, installation, told
from tests.core.sign_in.test_cookies import cookies_of, sent


async def delete(house, device_id, token, **options):
    return await house.ask("DELETE", f"/auth/devices/{device_id}", token=token, **options)


async def end_reasons(house):
    return dict(await house.rows("select id, end_reason from sessions"))


async def test_the_owner_sees_every_device_and_which_one_this_is(database_url):
    async with installation(database_url) as house:
        ada, bob = await house.person("ada@example.com"), await house.person("bob@example.com")
        await seen(house, bob)
        first = await sign_in(house, headers={"user-agent": CHROME}, source="192.0.2.1")
        house.clock.advance(60)
        second = await sign_in(house, device_name="the kitchen", source="192.0.2.2")
        house.clock.advance(60)
        await house.refresh(first.tokens.refresh)
        answer = await house.get("/devices", token=second.tokens.access)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json() == {
            "devices": [
                {
                    "id": second.device_id,
                    "name": "the kitchen",
                    "ip": "192.0.2.2",
                    "first_seen": "2027-01-15T08:01:00Z",
                    "last_seen": "2027-01-15T08:01:00Z",
                    "current": True,
                },
                {
                    "id": first.device_id,
                    "name": "Chrome on Windows",
                    "ip": "192.0.2.1",
                    "first_seen": "2027-01-15T08:00:00Z",
                    "last_seen": "2027-01-15T08:02:00Z",
                    "current": False,
                },
            ]
        }
        assert await devices(house, ada) == {first.device_id, second.device_id}


async def test_forgetting_ends_only_the_sessions_of_the_device(database_url):
    """I7: access tokens and refresh tokens are refused at once."""
    async with installation(database_url) as house:
        await house.person()
        here = await sign_in(house)
        there = await sign_in(house)
        there_too = await sign_in(house, device_token=there.device_token)
        assert there_too.device_id == there.device_id
        answer = await delete(house, there.device_id, here.tokens.access)
        assert (answer.status_code, answer.content) == (204, b"")
        for gone in (there, there_too):
            assert not await house.is_let_in(gone.tokens.access)
            assert (await house.refresh(gone.tokens.refresh)).status_code == 401
        assert await house.is_let_in(here.tokens.access)
        assert await devices(house) == {here.device_id}
        assert await end_reasons(house) == {
            here.tokens.session_id: None,
            there.tokens.session_id: "device_forgotten",
            there_too.tokens.session_id: "device_forgotten",
        }


async def test_a_forgotten_device_counts_as_new_at_its_next_sign_in(database_url):
    async with installation(database_url) as house:
        await house.person()
        made = await sign_in(house)
        await delete(house, made.device_id, made.tokens.access)
        again = await sign_in(house, device_token=made.device_token)
        assert again.device_id != made.device_id
        assert again.device_token not in {None, made.device_token}
        assert len(await house.mails()) == 2, "the owner gets another mail"


async def test_forgetting_is_audited_with_every_ended_session(database_url):
    async with installation(database_url) as house:
        ada = await house.person()
        made = await sign_in(house)
        await delete(house, made.device_id, made.tokens.access)
        (event,) = await house.events("devices.forgotten")
        assert (event["account_id"], event["actor_kind"], event["actor_id"]) == (ada.id, "account", ada.id)
        assert json.loads(event["detail"]) == {"device": made.device_id}
        (ended,) = await house.events("sessions.ended")
        assert ended["session_id"] == made.tokens.session_id
        assert json.loads(ended["detail"]) == {"reason": "device_forgotten"}


async def test_resources_of_another_account_are_not_found(database_url):
    """S08: the response is the same as for an unknown id, and nothing changes."""
    async with installation(database_url) as house:
        ada, bob = await house.person("ada@example.com"), await house.person("bob@example.com")
        bobs = await seen(house, bob)
        bobs_session = await house.session(bob, SessionOptions(device_id=bobs.device_id))
        mine = await sign_in(house)
        before = [await house.rows(f"select * from {table}") for table in ("devices", "sessions", "audit_events")]
        answers = [
            await delete(house, asked, mine.tokens.access)
            for asked in (bobs.device_id, "dev_" + "a" * 26, mine.tokens.session_id, "1", "..", "%2e%2e", ada.id)
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert {told(answer)[1] for answer in answers} == {told(answers[0])[1]}
        assert told(answers[0]) == told(answers[1])
        after = [await house.rows(f"select * from {table}") for table in ("devices", "sessions", "audit_events")]
        assert after == before
        assert await house.is_let_in(bobs_session.access)


async def test_a_browser_that_forgets_itself_loses_its_cookies(database_url):
    async with installation(database_url) as house:
        await house.person()
        browser = await house.login(transport="cookie", headers=SAME_ORIGIN)
        ((device_id,),) = await house.rows("select id from devices")
        answer = await delete(house, device_id, None, headers={**SAME_ORIGIN, **sent(browser)})
        assert answer.status_code == 204
        assert {name: value for name, (value, _) in cookies_of(answer).items()} == dict.fromkeys(
            cookies_of(browser), ""
        )
        assert all("max-age=0" in attributes for _, attributes in cookies_of(answer).values())


async def test_a_browser_that_forgets_another_device_keeps_its_own_cookies(sqlite_url):
    async with installation(sqlite_url) as house:
        ada = await house.person()
        other = await seen(house, ada)
        browser = await house.login(transport="cookie", headers=SAME_ORIGIN)
        answer = await delete(house, other.device_id, None, headers={**SAME_ORIGIN, **sent(browser)})
        assert (answer.status_code, cookies_of(answer)) == (204, {})


@pytest.mark.parametrize("said", [{}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}])
async def test_another_site_cannot_make_a_browser_forget_a_device(sqlite_url, said):
    """S12."""
    async with installation(sqlite_url) as house:
        await house.person()
        browser = await house.login(transport="cookie", headers=SAME_ORIGIN)
        ((device_id,),) = await house.rows("select id from devices")
        answer = await delete(house, device_id, None, headers={**said, **sent(browser)})
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site_request")
        assert await devices(house) == {device_id}


async def test_without_a_token_devices_can_neither_be_listed_nor_forgotten(sqlite_url):
    async with installation(sqlite_url) as house:
        made = await seen(house, await house.person())
        assert (await house.get("/devices")).status_code == 401
        assert (await delete(house, made.device_id, None)).status_code == 401
        assert await devices(house) == {made.device_id}


async def test_forgetting_the_device_of_another_account_requires_the_permission(database_url):
    async with installation(database_url) as house:
        ada, bob, eve = [await house.person(f"{name}@example.com") for name in ("ada", "bob", "eve")]
        await set_roles(house.ambient, Actor.operator("test"), bob.id, add={"admin"})
        device = await seen(house, ada)
        with pytest.raises(Forbidden):
            await forget(house.ambient, by(eve), ada.id, device.device_id)
        with pytest.raises(Forbidden):
            await forget(house.ambient, by(eve), ada.id, "dev_unknown")
        assert await devices(house) == {device.device_id}
        with pytest.raises(NotFound):
            await forget(house.ambient, by(bob), bob.id, device.device_id)
        await forget(house.ambient, by(bob), ada.id, device.device_id)
        assert await devices(house) == set()
        (event,) = await house.events("devices.forgotten")
        assert (event["account_id"], event["actor_id"]) == (ada.id, bob.id)


async def test_an_account_disabled_on_another_node_cannot_change_anything(database_url):
    """L18: until this node has read the feed, it accepts access tokens of the account."""
    async with installation(database_url) as house:
        await house.person()
        made = await sign_in(house)
        await house.ambient.database.execute("update accounts set disabled_at = 1")
        for path in (f"/auth/devices/{made.device_id}", "/auth/sessions"):
            answer = await house.ask("DELETE", path, token=made.tokens.access)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert await devices(house) == {made.device_id}
        assert await end_reasons(house) == {made.tokens.session_id: None}


async def test_of_twenty_concurrent_requests_to_forget_a_device_one_succeeds(database_url):
    async with installation(database_url) as house:
        await house.person()
        here, there = await sign_in(house), await sign_in(house)
        answers = await asyncio.gather(*(delete(house, there.device_id, here.tokens.access) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [204] + [404] * 19
        assert len(await house.events("devices.forgotten")) == 1


async def test_no_refresh_survives_a_concurrent_forget(database_url):
    """In either order, no token of the device's sessions is valid after the response, however new."""
    async with installation(database_url) as house:
        await house.person()
        here = await sign_in(house)
        for number in range(6):
            there = await sign_in(house)
            refreshing = asyncio.ensure_future(house.refresh(there.tokens.refresh))
            await asyncio.sleep(0.0005 * number)
            assert (await delete(house, there.device_id, here.tokens.access)).status_code == 204
            answer = await refreshing
            if answer.status_code == 200:
                body = answer.json()
                assert not await house.is_let_in(body["access_token"])
                assert (await house.refresh(body["refresh_token"])).status_code == 401
            assert (await house.refresh(there.tokens.refresh)).status_code == 401


async def test_no_session_of_a_forgotten_device_survives_a_concurrent_sign_in(database_url):
    """Either the sign-in is first and its session ends, or it is from a new device."""
    async with installation(database_url) as house:
        await house.person()
        here = await sign_in(house)
        for number in range(5):
            there = await sign_in(house)
            signing_in = asyncio.ensure_future(sign_in(house, device_token=there.device_token))
            await asyncio.sleep(0.002 * number)
            assert (await delete(house, there.device_id, here.tokens.access)).status_code == 204
            again = await signing_in
            assert await house.is_let_in(again.tokens.access) is (again.device_token is not None)
        assert there.device_id not in await devices(house)
        orphans = "select id from sessions where ended_at is null and device_id is null"
        assert await house.rows(orphans) == []
