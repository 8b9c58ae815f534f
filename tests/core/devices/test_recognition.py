"""Recognising devices by a random token, never by what the client says about itself."""

import asyncio
import json
import re

import pytest

from ostiary.core.devices import queries
from ostiary.core.devices.model import MOST_DEVICES, REMEMBERED
from ostiary.core.opaque import Purpose, fingerprint, new_token
from ostiary.core.plug import Source
from ostiary.core.sessions.model import SessionOptions
from ostiary.settings import SessionSettings
from tests.core.devices.signing_in import CHROME, devices, seen, sign_in
from tests.core.installation import SAME_ORIGIN, installation, tokens_of
from tests.core.sign_in.test_cookies import cookies_of, sent

DEVICE_COOKIE = "__Host-ostiary_device"


async def test_a_first_sign_in_creates_a_device_and_its_token_identifies_it_later(database_url):
    async with installation(database_url) as house:
        await house.person()
        first = await sign_in(house, headers={"user-agent": CHROME}, source="192.0.2.1")
        assert re.fullmatch(r"ostiary_device_[0-9a-f]{72}", first.device_token)
        house.clock.advance(3600)
        again = await sign_in(
            house, device_token=first.device_token, headers={"user-agent": "curl/8.5.0"}, source="192.0.2.2"
        )
        assert (again.device_id, again.device_token) == (first.device_id, None)
        (row,) = await house.rows("select name, user_agent, source, last_seen_at - first_seen_at from devices")
        assert row == ("Chrome on Windows", "curl/8.5.0", "192.0.2.2", 3_600_000_000)


async def test_only_the_hash_of_a_device_token_is_stored(database_url):
    async with installation(database_url) as house:
        await house.person()
        made = await sign_in(house)
        ((stored,),) = await house.rows("select token_hash from devices")
        assert bytes(stored) == fingerprint(made.device_token, Purpose.DEVICE)
        assert await queries.token_hash(house.ambient.database, made.device_id) == stored
        assert await queries.token_hash(house.ambient.database, "dev_unknown") is None
        everything = str(await house.rows("select * from devices")) + str(await house.events())
        assert made.device_token not in everything


@pytest.mark.parametrize("shown", ["", "x", "ostiary_device_" + "0" * 72, "a refresh token", "never issued"])
async def test_an_unknown_device_token_is_never_adopted(sqlite_url, shown):
    """L17: an attacker who plants a token in a browser could otherwise use it later."""
    async with installation(sqlite_url) as house:
        await house.person()
        if shown == "a refresh token":
            shown = (await sign_in(house)).tokens.refresh
        if shown == "never issued":
            shown = new_token(Purpose.DEVICE, house.ambient.random).text
        made = await sign_in(house, device_token=shown)
        assert made.device_token not in {None, shown}
        planted = fingerprint(shown, Purpose.DEVICE)
        assert planted is None or not await house.rows("select id from devices where token_hash = $1", planted)


async def test_the_device_of_another_account_is_not_recognised(database_url):
    """A device token identifies the device of one account only."""
    async with installation(database_url) as house:
        ada, bob = await house.person("ada@example.com"), await house.person("bob@example.com")
        adas = await seen(house, ada)
        before = await house.rows("select * from devices")
        bobs = await seen(house, bob, adas.token)
        assert bobs.token not in {None, adas.token}
        assert bobs.device_id != adas.device_id
        assert await house.rows("select * from devices where account_id = $1", ada.id) == before, (
            "her device is unchanged"
        )
        assert (await seen(house, ada, adas.token)).device_id == adas.device_id


async def test_a_device_not_seen_for_longer_than_a_cookie_lasts_is_new(sqlite_url):
    async with installation(sqlite_url) as house:
        ada = await house.person()
        device = await seen(house, ada)
        house.clock.advance(REMEMBERED - 1)
        assert (await seen(house, ada, device.token)).device_id == device.device_id
        house.clock.advance(REMEMBERED)
        later = await seen(house, ada, device.token)
        assert later.device_id != device.device_id
        assert later.token is not None


async def test_a_new_device_is_audited_and_a_known_one_is_not(database_url):
    async with installation(database_url) as house:
        ada = await house.person()
        device = await seen(house, ada)
        await seen(house, ada, device.token)
        (event,) = await house.events("devices.added")
        assert (event["account_id"], event["outcome"], event["actor_id"]) == (ada.id, "success", ada.id)
        assert json.loads(event["detail"]) == {"device": device.device_id, "name": "a loom"}


async def test_an_account_keeps_a_limited_number_of_devices_and_forgets_the_oldest(database_url):
    """Devices of a client that never sends its token are not kept without limit."""
    async with installation(database_url) as house:
        ada, bob = await house.person("ada@example.com"), await house.person("bob@example.com")
        others = await seen(house, bob)
        made = []
        for _ in range(MOST_DEVICES + 2):
            house.clock.advance(1)
            made.append(await seen(house, ada))
            if len(made) == 10:
                await seen(house, ada, made[0].token)
        gone = {made[1].device_id, made[2].device_id}
        assert await devices(house, ada) == {device.device_id for device in made} - gone
        assert await devices(house, bob) == {others.device_id}


async def test_a_device_with_a_live_session_is_kept_however_long_ago_it_was_seen(database_url):
    async with installation(database_url) as house:
        ada = await house.person()
        made = [await seen(house, ada)]
        tokens = await house.session(ada, SessionOptions(device_id=made[0].device_id))
        for _ in range(MOST_DEVICES):
            house.clock.advance(1)
            made.append(await seen(house, ada))
        assert await devices(house, ada) == {device.device_id for device in made} - {made[1].device_id}
        await house.post("/logout", {"refresh_token": tokens.refresh})
        await seen(house, ada)
        assert made[0].device_id not in await devices(house, ada), "until the session has ended"


async def test_concurrent_sign_ins_do_not_exceed_the_device_limit(database_url):
    async with installation(database_url) as house:
        ada = await house.person()
        for _ in range(MOST_DEVICES - 2):
            await seen(house, ada)
        await asyncio.gather(*(seen(house, ada) for _ in range(8)))
        assert len(await devices(house, ada)) == MOST_DEVICES


async def test_concurrent_sign_ins_with_one_token_are_from_one_device(database_url):
    async with installation(database_url) as house:
        ada = await house.person()
        device = await seen(house, ada)
        again = await asyncio.gather(*(seen(house, ada, device.token) for _ in range(10)))
        assert {(each.device_id, each.token, each.disown) for each in again} == {(device.device_id, None, None)}


async def test_a_browser_gets_the_cookie_once_and_is_recognised_after_logging_out(database_url):
    """I9: HttpOnly, Secure, __Host-, for 400 days, and one mail for one new device."""
    async with installation(database_url) as house:
        await house.person()
        first = await house.login(transport="cookie", headers=SAME_ORIGIN)
        value, attributes = cookies_of(first)[DEVICE_COOKIE]
        assert attributes == ["httponly", "max-age=34560000", "path=/", "samesite=lax", "secure"]
        assert "device_token" not in first.json()
        await house.post("/logout", headers={**SAME_ORIGIN, **sent(first)})
        house.clock.advance(86400)
        kept = {"cookie": f"{DEVICE_COOKIE}={value}"}
        second = await house.login(transport="cookie", headers={**SAME_ORIGIN, **kept})
        assert second.status_code == 200
        assert DEVICE_COOKIE not in cookies_of(second)
        assert len(await devices(house)) == 1
        assert len(await house.mails()) == 1


async def test_the_cookie_is_ignored_when_tokens_are_returned_in_the_body(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.person()
        browser = await house.login(transport="cookie", headers=SAME_ORIGIN)
        made = await sign_in(house, headers={**SAME_ORIGIN, **sent(browser)})
        assert made.device_token is not None


async def test_a_field_and_a_cookie_together_are_refused(sqlite_url):
    """S14: the server does not guess which of the two to use."""
    async with installation(sqlite_url) as house:
        await house.person()
        browser = await house.login(transport="cookie", headers=SAME_ORIGIN)
        token = cookies_of(browser)[DEVICE_COOKIE][0]
        headers = {**SAME_ORIGIN, "cookie": f"{DEVICE_COOKIE}={token}"}
        answer = await house.login(transport="cookie", device_token=token, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "multiple_credentials")


async def test_a_wrong_password_neither_creates_nor_updates_a_device(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.person()
        made = await sign_in(house)
        before = await house.rows("select * from devices")
        house.clock.advance(60)
        assert (await house.login(password="not this one", device_token=made.device_token)).status_code == 401
        assert (await house.login(password="not this one")).status_code == 401
        assert await house.rows("select * from devices") == before


async def test_a_refresh_works_without_the_device_and_deleting_an_account_deletes_its_devices(database_url):
    async with installation(database_url) as house:
        ada = await house.person()
        made = await sign_in(house)
        tokens_of(await house.refresh(made.tokens.refresh))
        await house.ambient.database.execute("delete from accounts where id = $1", ada.id)
        assert await devices(house) == set()


async def test_old_devices_are_swept_unless_they_have_a_session(database_url):
    async with installation(database_url, SessionSettings(lifetime=400 * 86400, idle=400 * 86400)) as house:
        ada = await house.person()
        old, with_session = await seen(house, ada), await seen(house, ada)
        house.clock.advance(1)
        young = await seen(house, ada, source=Source("192.0.2.9"))
        await house.session(ada, SessionOptions(device_id=with_session.device_id))
        house.clock.advance(REMEMBERED - 1)
        await house.tidy()
        assert await devices(house) == {with_session.device_id, young.device_id}
        assert old.device_id not in await devices(house)
        house.clock.advance(2)
        await house.tidy()
        await house.tidy()
        assert await devices(house) == set(), "the session has expired and was deleted first"
