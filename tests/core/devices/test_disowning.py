"""The mail about a new device, and its link that signs the device out."""

import asyncio
import json

import httpx
import pytest

from ostiary.core.devices.model import ANNOUNCED, DISOWNABLE
from ostiary.core.opaque import Purpose, new_token
from tests.core.devices.signing_in import CHROME, LINK, devices, disown_tokens, seen, sign_in
from tests.core.installation import EMAIL, ISSUER, PASSWORD, installation, told


async def disown(house, token, **options):
    return await house.post("/devices/disown", {"token": token}, **options)


async def disowned_by_mail(house):
    """A sign-in from a new device, and the token of the mail about it."""
    made = await sign_in(house)
    return made, (await disown_tokens(house))[-1]


async def test_the_mail_has_time_device_address_and_a_link_to_sign_it_out(database_url):
    async with installation(database_url) as house:
        await house.person("Ada@example.com")
        await sign_in(house, headers={"user-agent": CHROME}, source="192.0.2.1")
        (mail,) = await house.mails()
        (token,) = LINK.findall(mail.text)
        assert (mail.to, mail.subject) == (
            "Ada@example.com",
            "New device signed in to your account at auth.example.com",
        )
        assert "When: 2027-01-15 08:00 UTC\nDevice: Chrome on Windows\nAddress: 192.0.2.1\n" in mail.text
        assert f"\n{ISSUER}/auth/devices/disown#{token}" in mail.text
        assert "valid for 7 days" in mail.text


async def test_the_link_uses_the_issuer_and_ignores_the_host_header(sqlite_url):
    """R01, F5: Host header poisoning."""
    forged = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    async with installation(sqlite_url, issuer=f"{ISSUER}/realm") as house:
        await house.person()
        transport = httpx.ASGITransport(house.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://evil.example", trust_env=False) as http:
            body = {"email": EMAIL, "password": PASSWORD}
            assert (await http.post("/auth/login", json=body, headers=forged)).status_code == 200
        (mail,) = await house.mails()
        assert "evil" not in mail.text + mail.subject
        assert f"{ISSUER}/realm/auth/devices/disown#" in mail.text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Call us: https://evil.example/?a=b", "Call us https evil example a b"),
        ("mail ada@evil.example, now", "mail ada evil example now"),
        ("www.evil.example", "www evil example"),
        ("Zoë's télé (große)", "Zoë's télé (große)"),
        ("...", ""),
        ("a\u2024b \uff0e \u3002 c", "a b c"),
    ],
)
async def test_a_thief_cannot_put_a_link_into_our_mail(sqlite_url, name, shown):
    """The client chooses the device name, and mail programs turn text that looks like a link into one."""
    async with installation(sqlite_url) as house:
        await house.person()
        await sign_in(house, device_name=name)
        (mail,) = await house.mails()
        assert f"\nDevice: {shown}\n" in mail.text


async def test_the_link_signs_out_only_this_device_at_once(database_url):
    async with installation(database_url) as house:
        ada = await house.person()
        mine = await sign_in(house)
        thief, token = await disowned_by_mail(house)
        again = await sign_in(house, device_token=thief.device_token)
        answer = await disown(house, token, source="192.0.2.9")
        assert (answer.status_code, answer.content) == (204, b"")
        assert "set-cookie" not in answer.headers
        for session in (thief.tokens, again.tokens):
            assert not await house.is_let_in(session.access)
            assert (await house.refresh(session.refresh)).status_code == 401
        assert await house.is_let_in(mine.tokens.access)
        assert await devices(house) == {mine.device_id}
        (event,) = await house.events("devices.disowned")
        assert (event["account_id"], event["actor_kind"], event["source"]) == (ada.id, "anonymous", "192.0.2.9")
        assert json.loads(event["detail"]) == {"device": thief.device_id}


async def test_a_link_works_once_even_for_twenty_concurrent_requests(database_url):
    """R02, R03."""
    async with installation(database_url) as house:
        await house.person()
        _, token = await disowned_by_mail(house)
        answers = await asyncio.gather(*(disown(house, token) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [204] + [401] * 19
        assert len(await house.events("devices.disowned")) == 1
        assert len(await house.events("sessions.ended")) == 1


async def test_a_link_expires_exactly_on_time(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.person()
        made, token = await disowned_by_mail(house)
        house.clock.advance(DISOWNABLE)
        assert (await disown(house, token)).status_code == 401
        assert await devices(house) == {made.device_id}
        other, newer = await disowned_by_mail(house)
        house.clock.advance(DISOWNABLE - 0.001)
        assert (await disown(house, newer)).status_code == 204
        assert other.device_id not in await devices(house)


async def test_unknown_used_and_outdated_links_get_identical_responses(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.person()
        made, token = await disowned_by_mail(house)
        forgotten, of_forgotten = await disowned_by_mail(house)
        await house.ask("DELETE", f"/auth/devices/{forgotten.device_id}", token=made.tokens.access)
        await disown(house, token)
        random = house.ambient.random
        wrong = ["", "x", new_token(Purpose.DISOWN, random).text, new_token(Purpose.VERIFY, random).text]
        wrong += [token[:-1], token.upper(), token + "\n", made.device_token, made.tokens.refresh, made.tokens.access]
        answers = [await disown(house, each) for each in [token, of_forgotten, *wrong]]
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(401, "invalid_token")}
        assert {told(answer)[1] for answer in answers} == {told(answers[0])[1]}


async def test_opening_the_link_changes_nothing_and_the_page_leaks_nothing(sqlite_url):
    """R06, F7: mail scanners open links, and the token is in the fragment, which no request carries."""
    async with installation(sqlite_url) as house:
        await house.person()
        made, token = await disowned_by_mail(house)
        page = await house.get("/devices/disown")
        assert page.status_code == 200
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
        policy = page.headers["content-security-policy"]
        nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
        assert page.text.count(f'nonce="{nonce}"') == 2
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert (await house.get(f"/devices/disown?token={token}")).status_code == 200
        assert (await house.ask("HEAD", "/auth/devices/disown")).status_code == 200
        assert await devices(house) == {made.device_id}
        assert (await disown(house, token)).status_code == 204


async def test_a_known_device_causes_no_mail(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.person()
        made = await sign_in(house)
        await sign_in(house, device_token=made.device_token)
        assert len(await house.mails()) == 1


@pytest.mark.parametrize("forgetting", [False, True])
async def test_repeated_sign_ins_do_not_flood_the_mailbox(database_url, forgetting):
    """R10: an attacker with the password can sign in any number of times and forget the device each time."""
    async with installation(database_url) as house:
        await house.person()
        for _ in range(ANNOUNCED + 2):
            made = await sign_in(house)
            if forgetting:
                await house.ask("DELETE", f"/auth/devices/{made.device_id}", token=made.tokens.access)
        mails = await house.mails()
        assert len(mails) == ANNOUNCED
        assert ["sign out everywhere" in mail.text for mail in mails] == [False] * (ANNOUNCED - 1) + [True]
        house.clock.advance(3600)
        await sign_in(house)
        assert len(await house.mails()) == ANNOUNCED + 1


async def test_the_mail_limit_of_one_account_does_not_affect_another(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.person("ada@example.com")
        await house.person("bob@example.com")
        for _ in range(ANNOUNCED + 1):
            await sign_in(house, "ada@example.com")
        await sign_in(house, "bob@example.com")
        assert [mail.to for mail in await house.mails()] == ["ada@example.com"] * ANNOUNCED + ["bob@example.com"]


async def test_the_token_of_the_link_is_stored_only_as_a_hash_and_is_in_no_response(sqlite_url):
    async with installation(sqlite_url) as house:
        ada = await house.person()
        made, token = await disowned_by_mail(house)
        stored = str(await house.rows("select * from devices")) + str(await house.events())
        shown = (await house.get("/devices", token=made.tokens.access)).text
        assert token not in stored + shown
        assert (await seen(house, ada)).disown not in {None, token}
