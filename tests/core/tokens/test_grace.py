"""The grace period: a client that lost the response gets the same successor, and a thief gets no second family."""

import asyncio

import pytest

from ostiary.core.accounts.service import set_roles
from ostiary.core.opaque import Purpose, fingerprint
from ostiary.core.plug import Actor
from ostiary.core.sessions.model import SessionOptions
from ostiary.core.sessions.service import set_disabled
from ostiary.settings import SessionSettings, TokenSettings
from tests.core.installation import SAME_ORIGIN, SECRET, installation, opened, ostiary, tokens_of

OPERATOR = Actor.operator("test")
GRACE = 10
SEALS = "select hash from refresh_tokens where sealed_successor is not null"


async def ended_by_reuse(house):
    return len(await house.events("tokens.refresh_token_reused"))


async def test_a_client_that_lost_the_response_gets_the_same_successor(database_url):
    """zitadel#9631, keycloak#16081, hydra#1831: the response is lost, the client retries, no session ends."""
    async with installation(database_url) as house:
        person = await house.person()
        first = await house.session(person)
        lost = tokens_of(await house.refresh(first.refresh))
        house.clock.advance(GRACE - 0.001)
        again = tokens_of(await house.refresh(first.refresh))
        assert again.refresh == lost.refresh
        assert again.session_id == first.session_id
        assert again.access != lost.access
        assert again.claims["jti"] != lost.claims["jti"]
        assert await house.is_let_in(again.access)
        assert len(await house.rows("select hash from refresh_tokens")) == 2, "no second child"
        following = tokens_of(await house.refresh(again.refresh))
        assert following.refresh != again.refresh
        (event,) = await house.events("tokens.refresh_repeated")
        assert (event["account_id"], event["session_id"], event["outcome"]) == (person.id, first.session_id, "success")
        assert await ended_by_reuse(house) == 0
        assert await house.mails() == []


async def test_the_grace_period_starts_at_the_first_use_and_is_never_extended(database_url):
    async with installation(database_url) as house:
        first = await house.session(await house.person())
        await house.refresh(first.refresh)
        for _ in range(3):
            house.clock.advance(3)
            assert (await house.refresh(first.refresh)).status_code == 200
        house.clock.advance(1)
        assert (await house.refresh(first.refresh)).status_code == 401
        assert await ended_by_reuse(house) == 1


async def test_a_use_after_the_grace_period_ends_the_family_and_mails_the_owner(database_url):
    """I4, S01: the end, the audit event and the feed entry are committed before the refusal, and a mail follows."""
    async with installation(database_url) as house:
        person = await house.person()
        first = await house.session(person, SessionOptions(device_name="Ada's laptop"))
        owners = tokens_of(await house.refresh(first.refresh))
        house.clock.advance(GRACE)
        answer = await house.refresh(first.refresh, source="203.0.113.9")
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
        assert (await house.refresh(owners.refresh)).status_code == 401
        assert not await house.is_let_in(owners.access)
        assert await ended_by_reuse(house) == 1
        assert ("session", first.session_id) in [tuple(row) for row in await house.rows("select kind, key from feed")]
        (mail,) = await house.mails()
        assert mail.to == person.email
        assert "Ada's laptop" in mail.text
        assert "203.0.113.9" in mail.text
        assert (await house.refresh(first.refresh)).status_code == 401
        assert (len(await house.mails()), await ended_by_reuse(house)) == (1, 1), "an ended family gets a plain 401"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("Call https://evil.example/?a", "Call https evil example a"), ("...", "a device without a name")],
)
async def test_a_thief_cannot_put_a_link_into_the_mail_about_a_reuse(sqlite_url, name, shown):
    """The client chooses the device name, and people act on a mail about theft."""
    async with installation(sqlite_url, TokenSettings(refresh_grace=0)) as house:
        first = await house.session(await house.person(), SessionOptions(device_name=name))
        await house.refresh(first.refresh)
        await house.refresh(first.refresh)
        (mail,) = await house.mails()
        assert f"{shown}, signed in since 20" in mail.text
        assert "evil.example" not in mail.text


async def test_many_reuses_do_not_flood_the_mailbox(sqlite_url):
    """At most ten mails per hour are sent. Every reuse is still audited."""
    async with installation(sqlite_url, TokenSettings(refresh_grace=0)) as house:
        person = await house.person()
        for _ in range(12):
            tokens = await house.session(person)
            for _ in range(2):
                await house.refresh(tokens.refresh)
        assert (len(await house.mails()), await ended_by_reuse(house)) == (10, 12)
        house.clock.advance(3600)
        tokens = await house.session(person)
        for _ in range(2):
            await house.refresh(tokens.refresh)
        assert len(await house.mails()) == 11


async def test_the_chain_is_followed_to_the_unspent_token(database_url):
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        chain = [tokens.refresh]
        for _ in range(5):
            house.clock.advance(1)
            chain.append(tokens_of(await house.refresh(chain[-1])).refresh)
        for earlier in chain:
            house.clock.advance(0.1)
            if earlier != chain[-1]:
                assert tokens_of(await house.refresh(earlier)).refresh == chain[-1]
        assert await ended_by_reuse(house) == 0


async def test_a_token_whose_grace_period_is_over_ends_the_chain(database_url):
    """The grace period of the token that is sent counts, not that of the newest one."""
    async with installation(database_url) as house:
        first = await house.session(await house.person())
        second = tokens_of(await house.refresh(first.refresh))
        house.clock.advance(9)
        third = tokens_of(await house.refresh(second.refresh))
        house.clock.advance(2)
        assert tokens_of(await house.refresh(second.refresh)).refresh == third.refresh
        assert (await house.refresh(first.refresh)).status_code == 401
        assert (await house.refresh(third.refresh)).status_code == 401


async def test_the_length_of_a_followed_chain_is_limited(sqlite_url):
    """Otherwise each request would be more expensive than the one before."""
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        chain = [tokens.refresh]
        for _ in range(65):
            chain.append(tokens_of(await house.refresh(chain[-1])).refresh)
        assert tokens_of(await house.refresh(chain[2])).refresh == chain[-1]
        assert (await house.refresh(chain[1])).status_code == 401
        assert await ended_by_reuse(house) == 1


async def test_fifty_concurrent_refreshes_get_one_successor(database_url):
    """S02: duplicate tabs, one family, one child."""
    async with installation(database_url) as house:
        first = await house.session(await house.person())
        answers = [
            tokens_of(answer) for answer in await asyncio.gather(*(house.refresh(first.refresh) for _ in range(50)))
        ]
        assert len({answer.refresh for answer in answers}) == 1
        assert len({answer.claims["jti"] for answer in answers}) == 50
        assert len(await house.rows("select hash from refresh_tokens")) == 2
        assert await ended_by_reuse(house) == 0


async def test_fifty_concurrent_refreshes_on_two_servers_get_one_successor(database_url):
    async with installation(database_url) as house:
        first = await house.session(await house.person())
        second = ostiary(database_url, house.clock, house.outbox)
        async with opened(second, house.clock, house.outbox) as other:
            asked = (each.refresh(first.refresh) for each in (house, other) * 25)
            answers = [tokens_of(answer) for answer in await asyncio.gather(*asked)]
            assert len({answer.refresh for answer in answers}) == 1
            assert (await other.refresh(answers[0].refresh)).status_code == 200


@pytest.mark.parametrize("change", ["logged out", "disabled", "expired", "idle"])
async def test_a_repeated_refresh_runs_all_checks(database_url, change):
    """I6: account, session and expiry are checked as in every refresh; an ended family gets a plain 401 and no mail."""
    async with installation(database_url, SessionSettings(lifetime=70, idle=65)) as house:
        person = await house.person()
        first = await house.session(person)
        house.clock.advance(55 if change == "expired" else 0)
        lost = tokens_of(await house.refresh(first.refresh))
        if change == "logged out":
            await house.post("/logout", {"refresh_token": lost.refresh})
        elif change == "disabled":
            await set_disabled(house.ambient, OPERATOR, person.id, disabled=True)
        elif change == "expired":
            house.clock.advance(15)
        else:
            house.clock.advance(65)
        assert (await house.refresh(first.refresh)).status_code == 401
        assert await ended_by_reuse(house) == 0
        assert await house.mails() == []


async def test_a_repeated_refresh_returns_the_current_roles(database_url):
    async with installation(database_url) as house:
        person = await house.person()
        first = await house.session(person)
        lost = tokens_of(await house.refresh(first.refresh))
        await set_roles(house.ambient, OPERATOR, person.id, add={"moderator"})
        again = tokens_of(await house.refresh(first.refresh))
        assert again.refresh == lost.refresh
        assert "moderator" in again.claims["roles"]
        assert await house.is_let_in(again.access)
        assert not await house.is_let_in(lost.access)


@pytest.mark.parametrize("ending", ["logout", "reuse", "disabled", "by its owner", "limit"])
async def test_every_way_to_end_a_session_deletes_its_sealed_successors(database_url, ending):
    async with installation(database_url, SessionSettings(limit=1)) as house:
        person = await house.person()
        first = await house.session(person)
        second = tokens_of(await house.refresh(first.refresh))
        third = tokens_of(await house.refresh(second.refresh))
        assert len(await house.rows(SEALS)) == 2
        if ending == "logout":
            await house.post("/logout", {"refresh_token": third.refresh})
        elif ending == "reuse":
            house.clock.advance(GRACE)
            await house.refresh(first.refresh)
        elif ending == "disabled":
            await set_disabled(house.ambient, OPERATOR, person.id, disabled=True)
        elif ending == "by its owner":
            answer = await house.ask("DELETE", f"/auth/sessions/{first.session_id}", token=third.access)
            assert answer.status_code == 204, answer.text
        else:
            await house.session(person)
        assert await house.rows(SEALS) == []
        assert (await house.refresh(second.refresh)).status_code == 401


async def test_sealed_successors_are_deleted_after_their_grace_period(database_url):
    async with installation(database_url) as house:
        first = await house.session(await house.person())
        tokens_of(await house.refresh(first.refresh))
        await house.tidy()
        assert len(await house.rows(SEALS)) == 1
        house.clock.advance(61)
        await house.tidy()
        assert await house.rows(SEALS) == []


async def test_neither_the_database_nor_the_server_alone_can_read_the_successor(sqlite_url, tmp_path):
    """The key is derived from the spent token, which is not stored anywhere, and the master secret."""
    async with installation(sqlite_url) as house:
        first = await house.session(await house.person())
        lost = tokens_of(await house.refresh(first.refresh))
        ((sealed,),) = await house.rows(
            "select sealed_successor from refresh_tokens where sealed_successor is not null"
        )
        assert lost.refresh.encode() not in sealed
        written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert lost.refresh.encode() not in written
        assert first.refresh.encode() not in written
        assert fingerprint(first.refresh, Purpose.REFRESH) in written, "so that the two lines above can fail"
        vault, row = house.ambient.vault, f"{first.session_id}/1"
        opened_text = vault.open_for(first.refresh.encode(), sealed, purpose="grace/1", row=row)
        assert opened_text.decode() == lost.refresh
        for bearer, place in ((lost.refresh, row), (first.refresh, f"{first.session_id}/2")):
            with pytest.raises(Exception, match="damaged or was moved"):
                vault.open_for(bearer.encode(), sealed, purpose="grace/1", row=place)


async def test_a_server_without_the_sealing_secret_does_not_end_the_session(sqlite_url):
    """During a rotation of the master secret it returns 503. A server that has both secrets returns the successor."""
    other = "pQ3vX9mZ7tB5nK1cW8yL4rD6hJ2gF0sA-uE_iO5xT3k"
    async with installation(sqlite_url, secret=f"{other} {SECRET}") as house:
        first = await house.session(await house.person())
        lost = tokens_of(await house.refresh(first.refresh))
        async with opened(ostiary(sqlite_url, house.clock, house.outbox), house.clock, house.outbox) as behind:
            assert (await behind.refresh(first.refresh)).status_code in {401, 503}
        assert tokens_of(await house.refresh(first.refresh)).refresh == lost.refresh
        assert await ended_by_reuse(house) == 0


async def test_only_the_bound_device_can_repeat_a_refresh(database_url):
    """A caller with only the refresh token counts as a thief, even within the grace period."""
    async with installation(database_url) as house:
        await house.person()
        known = (await house.login()).json()["device_token"]
        for shows_it in (True, False):
            first = tokens_of(await house.login(device_token=known))
            device = {"device_token": known}
            lost = tokens_of(await house.post("/refresh", {"refresh_token": first.refresh, **device}))
            answer = await house.post("/refresh", {"refresh_token": first.refresh, **(device if shows_it else {})})
            if shows_it:
                assert tokens_of(answer).refresh == lost.refresh
            else:
                assert answer.status_code == 401
                assert (await house.refresh(lost.refresh)).status_code == 401
        assert await ended_by_reuse(house) == 1


async def test_a_browser_sends_its_device_cookie_automatically(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.person()
        answer = await house.login(transport="cookie", headers=SAME_ORIGIN)
        jar = {cookie.name: cookie.value for cookie in answer.cookies.jar}
        assert set(jar) == {"__Host-ostiary_access", "__Host-ostiary_refresh", "__Host-ostiary_device"}

        async def refresh(*names):
            sent = "; ".join(f"{name}={jar[name]}" for name in names)
            return await house.post("/refresh", {}, headers={**SAME_ORIGIN, "cookie": sent})

        both = ("__Host-ostiary_refresh", "__Host-ostiary_device")
        first, again = await refresh(*both), await refresh(*both)
        assert first.cookies["__Host-ostiary_refresh"] == again.cookies["__Host-ostiary_refresh"]
        assert (await refresh("__Host-ostiary_refresh")).status_code == 401
        assert await ended_by_reuse(house) == 1


async def test_a_refused_resource_does_not_spend_the_token(sqlite_url):
    async with installation(sqlite_url, TokenSettings(resources=("https://orders.example.com",))) as house:
        first = await house.session(await house.person())
        for resource in ("https://evil.example.com", "https://orders.example.com/", "HTTPS://orders.example.com", ""):
            answer = await house.post("/refresh", {"refresh_token": first.refresh, "resource": resource})
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_target"), resource
        assert await house.rows("select hash from refresh_tokens where spent_at is not null") == []
        asked = {"refresh_token": first.refresh, "resource": "https://orders.example.com"}
        renewed = tokens_of(await house.post("/refresh", asked))
        assert renewed.claims["aud"] == "https://orders.example.com"
        assert not await house.is_let_in(renewed.access), "it is valid only for the service that it was issued for"
        assert tokens_of(await house.refresh(renewed.refresh)).claims["aud"] == "https://auth.example.com"
