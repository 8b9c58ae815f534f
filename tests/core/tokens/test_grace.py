"""The grace period: a client that lost the response gets the same successor, and a thief gets no second family."""

import asyncio

import pytest

from ostiary.core.accounts.service import set_roles
from ostiary.core.entropy import SystemRandom
from ostiary.core.plug import Actor
from ostiary.core.sessions.model import SessionOptions
from ostiary.core.sessions.service import set_disabled
from ostiary.core.tokens import grace
from ostiary.core.tokens.refresh_token import read, successor_of
from ostiary.core.vault import Vault
from ostiary.errors import Unavailable
from ostiary.settings import SessionSettings, TokenSettings
from tests.core.installation import SAME_ORIGIN, SECRET, installation, opened, ostiary, tokens_of

OPERATOR = Actor.operator("test")
GRACE = 10
SPENT = "select hash from spent_refresh_tokens"


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
        assert len(await house.rows(SPENT)) == 1, "no second child"
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


async def test_a_long_chain_within_the_grace_period_is_followed_with_one_statement(database_url):
    """A busy client is no thief. Each link was a statement, with the session row locked."""
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        chain = [tokens.refresh]
        for number in range(67):
            chain.append(tokens_of(await house.refresh(chain[-1])).refresh)
            house.clock.advance(0 if number < 55 else 0.7)
        statements = []
        house.watch(statements.append)
        house.clock.advance(0.5)
        assert tokens_of(await house.refresh(chain[0])).refresh == chain[-1]
        longest = len(statements)
        house.clock.advance(1)
        del statements[:]
        assert tokens_of(await house.refresh(chain[-2])).refresh == chain[-1]
        assert len(statements) <= longest
        assert longest < 12
        assert await ended_by_reuse(house) == 0


async def test_the_length_of_a_followed_chain_is_limited(sqlite_url, monkeypatch):
    """Otherwise each request would be more expensive than the one before."""
    monkeypatch.setattr(grace, "_MOST_LINKS", 5)
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        chain = [tokens.refresh]
        for _ in range(6):
            chain.append(tokens_of(await house.refresh(chain[-1])).refresh)
        assert tokens_of(await house.refresh(chain[1])).refresh == chain[-1]
        assert (await house.refresh(chain[0])).status_code == 401
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
        assert len(await house.rows(SPENT)) == 1
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
async def test_every_way_to_end_a_session_deletes_the_way_to_its_successors(database_url, ending):
    async with installation(database_url, SessionSettings(limit=1)) as house:
        person = await house.person()
        first = await house.session(person)
        second = tokens_of(await house.refresh(first.refresh))
        third = tokens_of(await house.refresh(second.refresh))
        assert len(await house.rows(SPENT)) == 2
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
        assert await house.rows(SPENT) == []
        assert (await house.refresh(second.refresh)).status_code == 401


async def test_spent_tokens_are_deleted_after_the_longest_grace_period(database_url):
    async with installation(database_url) as house:
        first = await house.session(await house.person())
        tokens_of(await house.refresh(first.refresh))
        await house.tidy()
        assert len(await house.rows(SPENT)) == 1
        house.clock.advance(15 * 60 + 2)
        await house.tidy()
        assert await house.rows(SPENT) == []


async def test_the_successor_takes_the_spent_token_the_master_secret_and_the_row_together(sqlite_url, tmp_path):
    """Neither the database nor the server alone can make it: the spent token is not stored anywhere."""
    async with installation(sqlite_url) as house:
        first = await house.session(await house.person())
        lost = tokens_of(await house.refresh(first.refresh))
        ((salt, spent_hash),) = await house.rows("select salt, hash from spent_refresh_tokens")
        written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert spent_hash in written, "so that the next lines can fail"
        vault = house.ambient.vault
        for text in (first.refresh, lost.refresh):
            token = read(vault, text)
            for part in (text.encode(), token.secret, token.secret.hex().encode()):
                assert part not in written
        spent = read(vault, first.refresh)
        assert successor_of(vault, spent, salt).text == lost.refresh
        assert successor_of(vault, spent, salt[:-1] + b"x").text != lost.refresh
        assert successor_of(vault, spent._replace(secret=bytes(32)), salt).text != lost.refresh
        with pytest.raises(Unavailable, match="master secret"):
            successor_of(Vault([b"another secret"], random=SystemRandom()), spent, salt)


async def test_repeats_of_one_token_leave_one_audit_event(database_url):
    """A client that repeats a refresh as often as it can must not fill the audit log."""
    async with installation(database_url) as house:
        first = await house.session(await house.person())
        second = tokens_of(await house.refresh(first.refresh))
        for _ in range(5):
            assert tokens_of(await house.refresh(first.refresh)).refresh == second.refresh
        third = tokens_of(await house.refresh(second.refresh))
        for _ in range(5):
            assert tokens_of(await house.refresh(second.refresh)).refresh == third.refresh
        assert len(await house.events("tokens.refresh_repeated")) == 2
        newest = third
        for _ in range(20):
            spent, newest = newest, tokens_of(await house.refresh(newest.refresh))
            await house.refresh(spent.refresh)
        assert len(await house.events("tokens.refresh_repeated")) == 10, "at most ten an hour"


async def test_a_phone_that_slept_for_minutes_gets_its_successor_if_it_proves_its_device(database_url):
    """It was suspended in the middle of a refresh. Nobody has used the successor, so nobody else holds it."""
    async with installation(database_url) as house:
        await house.person()
        known = (await house.login()).json()["device_token"]
        first = tokens_of(await house.login(device_token=known))
        shown = {"refresh_token": first.refresh, "device_token": known}
        lost = tokens_of(await house.post("/refresh", shown))
        house.clock.advance(15 * 60 - 1)
        assert tokens_of(await house.post("/refresh", shown)).refresh == lost.refresh
        house.clock.advance(1)
        assert (await house.post("/refresh", shown)).status_code == 401
        assert await ended_by_reuse(house) == 1


@pytest.mark.parametrize("case", ["the successor was used", "no device", "another device", "no grace period"])
async def test_the_longer_grace_period_is_only_for_an_unused_successor_and_a_proved_device(database_url, case):
    settings = TokenSettings(refresh_grace=0 if case == "no grace period" else GRACE)
    async with installation(database_url, settings) as house:
        await house.person()
        known, other = [(await house.login()).json()["device_token"] for _ in range(2)]
        first = tokens_of(await house.login(device_token=known))
        lost = tokens_of(await house.post("/refresh", {"refresh_token": first.refresh, "device_token": known}))
        if case == "the successor was used":
            await house.post("/refresh", {"refresh_token": lost.refresh, "device_token": known})
        house.clock.advance(GRACE)
        device = {"no device": {}, "another device": {"device_token": other}}.get(case, {"device_token": known})
        answer = await house.post("/refresh", {"refresh_token": first.refresh, **device})
        assert answer.status_code == 401
        assert await ended_by_reuse(house) == 1


async def test_a_clock_that_was_set_back_does_not_bring_back_the_grace_period(database_url):
    """Otherwise the oldest spent token would get the owner's newest one, for as long as the clock is off."""
    async with installation(database_url, TokenSettings(refresh_grace=60)) as house:
        first = await house.session(await house.person())
        house.clock.advance(3600)
        second = tokens_of(await house.refresh(first.refresh))
        house.clock.advance(-3)
        assert (await house.refresh(first.refresh)).status_code == 401
        assert (await house.refresh(second.refresh)).status_code == 401
        assert await ended_by_reuse(house) == 1


async def test_servers_whose_clocks_differ_by_two_seconds_share_the_grace_period(database_url):
    """Each may be a second off the clock of the database."""
    async with installation(database_url) as house:
        first = await house.session(await house.person())
        house.clock.advance(3600)
        lost = tokens_of(await house.refresh(first.refresh))
        house.clock.advance(-2)
        assert tokens_of(await house.refresh(first.refresh)).refresh == lost.refresh


async def test_a_server_without_the_newest_master_secret_does_not_end_the_session(sqlite_url):
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
