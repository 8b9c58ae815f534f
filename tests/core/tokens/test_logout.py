"""POST /auth/logout: always 204, and the right sessions end at once."""

import asyncio
import base64

from ostiary.core.accounts.service import set_roles
from ostiary.core.opaque import Purpose, new_token
from ostiary.core.plug import Actor
from ostiary.core.sessions.model import SessionOptions
from ostiary.jose import SigningKey, sign
from ostiary.settings import TokenSettings
from ostiary.verifier import ACCESS_TOKEN_TYPE
from tests.core.installation import installation, opened, ostiary, tokens_of


async def logout(house, *, refresh=None, **options):
    answer = await house.post("/logout", None if refresh is None else {"refresh_token": refresh}, **options)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["cache-control"] == "no-store"


async def is_alive(house, tokens):
    """Reads the row, which decides whether a refresh is possible."""
    (row,) = await house.rows("select ended_at from sessions where id = $1", tokens.session_id)
    return row[0] is None


async def test_either_token_ends_the_session_and_invalidates_both(database_url):
    async with installation(database_url) as house:
        person = await house.person()
        by_access, by_refresh, by_both, other = [await house.session(person) for _ in range(4)]
        await logout(house, token=by_access.access)
        await logout(house, refresh=by_refresh.refresh)
        await logout(house, token=by_both.access, refresh=by_both.refresh)
        for tokens in (by_access, by_refresh, by_both):
            assert not await house.is_let_in(tokens.access)
            assert (await house.refresh(tokens.refresh)).status_code == 401
        assert await house.is_let_in(other.access)
        ended = {event["session_id"]: event["detail"] for event in await house.events("sessions.ended")}
        assert ended == {each.session_id: '{"reason":"logout"}' for each in (by_access, by_refresh, by_both)}


async def test_tokens_of_two_sessions_end_both_sessions(database_url):
    async with installation(database_url) as house:
        person = await house.person()
        one, other = await house.session(person), await house.session(person)
        await logout(house, token=one.access, refresh=other.refresh)
        assert not await is_alive(house, one)
        assert not await is_alive(house, other)


async def test_an_expired_access_token_is_sufficient(database_url):
    """A user who was away for an hour must be able to log out."""
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        house.clock.advance(13 * 86400)
        assert not await house.is_let_in(tokens.access)
        await logout(house, token=tokens.access)
        assert not await is_alive(house, tokens)


async def test_a_spent_refresh_token_is_sufficient_and_does_not_count_as_reuse(database_url):
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        renewed = tokens_of(await house.refresh(tokens.refresh))
        await logout(house, refresh=tokens.refresh)
        assert not await house.is_let_in(renewed.access)
        assert (await house.refresh(renewed.refresh)).status_code == 401
        assert await house.events("tokens.refresh_token_reused") == []


async def test_a_token_issued_before_a_role_change_is_sufficient(sqlite_url):
    async with installation(sqlite_url) as house:
        person = await house.person()
        tokens = await house.session(person)
        await set_roles(house.ambient, Actor.operator("test"), person.id, add={"moderator"})
        await logout(house, token=tokens.access)
        assert not await is_alive(house, tokens)


async def test_logging_out_twice_returns_the_same_response_and_records_one_event(database_url):
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        await asyncio.gather(*(logout(house, refresh=tokens.refresh) for _ in range(10)))
        await logout(house, token=tokens.access, refresh=tokens.refresh)
        assert len(await house.events("sessions.ended")) == 1


async def test_invalid_tokens_return_204_and_end_nothing(sqlite_url):
    """A token that we did not sign logs no one out, even if it contains their session id."""
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        claims = tokens.access.split(".")[1]
        payload = base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))
        forged = sign(payload, SigningKey.generate("ES256"), typ=ACCESS_TOKEN_TYPE)
        no_algorithm = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
        unsigned = f"{no_algorithm}.{claims}."
        of_another_kind = sign(payload, house.ambient.keys.current, typ="logout+jwt")
        for token in ("x", "x.y.z", forged, unsigned, of_another_kind, tokens.refresh, tokens.access[:-4] + "AAAA"):
            await logout(house, token=token)
        random = house.ambient.random
        for refresh in (
            "", "x", tokens.access, tokens.refresh[:-1], tokens.refresh.upper(),
            new_token(Purpose.REFRESH, random).text, new_token(Purpose.ATTEMPT, random).text,
        ):  # fmt: skip
            await logout(house, refresh=refresh)
        await logout(house)
        assert await house.is_let_in(tokens.access)
        assert await is_alive(house, tokens)
        assert await house.events() == []


async def test_one_valid_token_next_to_an_invalid_one_is_sufficient(sqlite_url):
    async with installation(sqlite_url) as house:
        person = await house.person()
        one, other = await house.session(person), await house.session(person)
        await logout(house, token=one.access, refresh="garbage")
        await logout(house, token="garbage", refresh=other.refresh)
        assert not await is_alive(house, one)
        assert not await is_alive(house, other)


async def test_no_refresh_succeeds_after_the_logout_response(database_url):
    """*The session row is the lock*: locking only the token row would let a refresh commit after the response."""
    async with installation(database_url) as house:
        person = await house.person()
        for number in range(12):
            tokens = await house.session(person)
            refreshing = [asyncio.ensure_future(house.refresh(tokens.refresh)) for _ in range(2)]
            await asyncio.sleep(0.0005 * number)
            await logout(house, refresh=tokens.refresh)
            for answer in await asyncio.gather(*refreshing):
                if answer.status_code == 200:
                    renewed = tokens_of(answer)
                    assert not await house.is_let_in(renewed.access)
                    assert (await house.refresh(renewed.refresh)).status_code == 401
            assert not await is_alive(house, tokens)


async def test_logout_on_one_server_races_with_refresh_on_another(database_url):
    async with installation(database_url) as house:
        person = await house.person()
        second = ostiary(database_url, house.clock, house.outbox)
        async with opened(second, house.clock, house.outbox) as other:
            for number in range(8):
                tokens = await house.session(person)
                refreshing = asyncio.ensure_future(other.refresh(tokens.refresh))
                await asyncio.sleep(0.0005 * number)
                await logout(house, token=tokens.access)
                answer = await refreshing
                if answer.status_code == 200:
                    assert (await other.refresh(tokens_of(answer).refresh)).status_code == 401
                    assert not await house.is_let_in(tokens_of(answer).access)


async def test_a_service_that_receives_a_token_cannot_sign_its_owner_out(sqlite_url):
    """Tokens for other services are not accepted here, not even for logout. They can still be revoked one by one."""
    orders = "https://orders.example.com"
    async with installation(sqlite_url, TokenSettings(resources=(orders,))) as house:
        tokens = await house.session(await house.person(), SessionOptions(resource=orders))
        await logout(house, token=tokens.access)
        assert await is_alive(house, tokens)
