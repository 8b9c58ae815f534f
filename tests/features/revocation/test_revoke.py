"""POST /auth/revoke (RFC 7009): revokes our own tokens. Other texts change nothing."""

import urllib.parse

import pytest

from ostiary.core.opaque import Purpose, new_token
from ostiary.core.sessions.model import SessionOptions
from ostiary.settings import SessionSettings, TokenSettings
from ostiary.store.hot import Rate
from tests.core.installation import eventually, installation, opened, ostiary, tokens_of, told

ORDERS = "https://orders.example.com"


async def revoke(house, token, *, form=True, **more):
    parameters = {"token": token, **more}
    if not form:
        return await house.post("/revoke", parameters)
    return await house.send_form("/revoke", urllib.parse.urlencode(parameters))


@pytest.mark.parametrize("form", [True, False], ids=["form", "json"])
async def test_revoking_a_refresh_token_ends_its_family_and_its_access_tokens(database_url, form):
    """L21. A spent refresh token does this too. Other sessions of the account continue."""
    async with installation(database_url) as house:
        person = await house.person()
        first, other = await house.session(person), await house.session(person)
        second = tokens_of(await house.refresh(first.refresh))
        answer = await revoke(house, first.refresh, form=form, token_type_hint="access_token")
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["cache-control"] == "no-store"
        assert (await house.refresh(second.refresh)).status_code == 401
        for access in (first.access, second.access):
            assert not await house.is_let_in(access)
        assert await house.is_let_in(other.access)
        (event,) = await house.events("sessions.ended")
        assert (event["session_id"], event["detail"]) == (first.session_id, '{"reason":"token_revoked"}')
        assert await house.mails() == []


async def test_revoking_an_access_token_ends_only_that_token(database_url):
    """It takes effect at once here, and in another process as soon as that process has read the feed."""
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        renewed = tokens_of(await house.refresh(tokens.refresh))
        second = ostiary(database_url, house.clock, house.outbox)
        async with opened(second, house.clock, house.outbox) as other:
            assert await other.is_let_in(tokens.access)
            assert (await revoke(house, tokens.access)).status_code == 200
            assert not await house.is_let_in(tokens.access)
            await eventually(lambda: other.get("/me", token=tokens.access), 401)
            for each in (house, other):
                assert await each.is_let_in(renewed.access)
        assert (await house.refresh(renewed.refresh)).status_code == 200
        (event,) = await house.events("tokens.revoked")
        assert (event["session_id"], tokens.claims["jti"] in event["detail"]) == (tokens.session_id, True)


async def test_after_an_access_token_is_revoked_its_session_gets_another_bit_in_the_status_list(sqlite_url):
    """The list cannot name a single token. The bit is set, and tokens issued afterwards have another one."""
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        entry = tokens.claims["status"]["status_list"]
        same = tokens_of(await house.refresh(tokens.refresh))
        assert same.claims["status"]["status_list"] == entry
        await revoke(house, tokens.access)
        (row,) = await house.rows("select key, value from feed where kind = 'status'")
        assert (row[0], row[1]) == ("1", entry["idx"])
        renewed = tokens_of(await house.refresh(same.refresh))
        assert renewed.claims["status"]["status_list"]["idx"] != entry["idx"]


async def test_a_token_for_another_service_is_revoked_here(sqlite_url):
    async with installation(sqlite_url, TokenSettings(resources=(ORDERS,))) as house:
        tokens = await house.session(await house.person(), SessionOptions(resource=ORDERS))
        assert tokens.claims["aud"] == ORDERS
        await revoke(house, tokens.access)
        assert len(await house.events("tokens.revoked")) == 1


async def test_revoking_the_same_token_again_writes_nothing(sqlite_url):
    async with installation(sqlite_url) as house:
        tokens, late = [await house.session(await house.person(f"{name}@example.com")) for name in ("ada", "bob")]
        for _ in range(3):
            assert (await revoke(house, tokens.access)).status_code == 200
        house.clock.advance(900 + 30)
        await revoke(house, late.access)
        assert len(await house.events("tokens.revoked")) == 1
        assert len(await house.rows("select * from feed where kind = 'token'")) == 1


async def test_refreshing_and_revoking_in_turn_fills_neither_the_feed_nor_the_status_lists(sqlite_url):
    """Every process and every client of the feed stores each revocation for a day, and each takes a bit until the
    session ends. One account must not be able to fill them. Another session can still revoke, and this session can
    still be ended."""
    async with installation(sqlite_url, SessionSettings(refresh_limit=Rate(100, 60))) as house:
        person = await house.person()
        tokens, other = await house.session(person), await house.session(person)
        for _ in range(60):
            assert (await revoke(house, tokens.access)).status_code == 200
            tokens = tokens_of(await house.refresh(tokens.refresh))
        slots = await house.rows("select * from status_slots")
        answer = await revoke(house, tokens.access)
        assert (answer.status_code, answer.json()["error"]) == (429, "temporarily_unavailable")
        assert int(answer.headers["retry-after"]) == 60
        assert len(await house.rows("select * from feed where kind = 'token'")) == 60
        tokens = tokens_of(await house.refresh(tokens.refresh))
        assert await house.rows("select * from status_slots") == slots
        assert (await revoke(house, other.access)).status_code == 200
        assert (await revoke(house, tokens.refresh)).status_code == 200
        assert not await house.is_let_in(tokens.access)


async def test_every_other_text_gets_the_same_answer(sqlite_url):
    """O14, L21: unknown and malformed tokens, and tokens of other purposes or other keys, get a bare 200."""
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        head, payload, signature = tokens.access.split(".")
        random = house.ambient.random
        wrong = [
            "x", "a.b.c", tokens.refresh[:-1], tokens.refresh.upper(), f"{head}.{payload}.{signature[::-1]}",
            new_token(Purpose.REFRESH, random).text, new_token(Purpose.VERIFY, random).text, "\u00fc" * 100,
            "x" * 20_000,
        ]  # fmt: skip
        answers = [await revoke(house, token) for token in wrong]
        assert {str(told(answer)) for answer in answers} == {str(told(await revoke(house, tokens.access)))}
        assert (await house.refresh(tokens.refresh)).status_code == 200
        assert await house.rows("select * from sessions where ended_at is not null") == []


async def test_an_invalid_request_gets_the_oauth_error(sqlite_url):
    """J10, O21."""
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        for body in ("", "token_type_hint=x", f"token={tokens.access}&token={tokens.refresh}"):
            answer = await house.send_form("/revoke", body)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        answer = await house.ask("GET", f"/auth/revoke?token={tokens.access}")
        assert answer.status_code == 405
        assert await house.is_let_in(tokens.access)
