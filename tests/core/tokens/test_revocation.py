"""Revoked tokens are refused everywhere. A server that cannot know revocations answers 503, not 401."""

from contextlib import asynccontextmanager

import pytest

from ostiary.core.accounts.service import set_roles
from ostiary.core.plug import Actor
from ostiary.core.sessions.service import set_disabled, sign_out_everywhere
from ostiary.errors import StoreUnavailable
from ostiary.settings import RevocationSettings, TokenSettings
from tests.core.installation import SAME_ORIGIN, eventually, installation, opened, ostiary, tokens_of

OPERATOR = Actor.operator("test")


@asynccontextmanager
async def two(database_url, *settings):
    """Two servers on one database."""
    async with installation(database_url, *settings) as house:
        second = ostiary(database_url, house.clock, house.outbox, *settings)
        async with opened(second, house.clock, house.outbox) as other:
            yield house, other


async def revoke(house, how, person, tokens):
    if how == "logout":
        await house.post("/logout", {"refresh_token": tokens.refresh})
    elif how == "reuse":
        await house.refresh(tokens.refresh)
        house.clock.advance(10)
        await house.refresh(tokens.refresh)
    elif how == "roles":
        await set_roles(house.ambient, OPERATOR, person.id, add={"moderator"})
    elif how == "disabled":
        await set_disabled(house.ambient, OPERATOR, person.id, disabled=True)
    else:
        await sign_out_everywhere(house.ambient, OPERATOR, person.id)


@pytest.mark.parametrize("how", ["logout", "reuse", "roles", "disabled", "everywhere"])
async def test_what_one_server_revokes_the_other_refuses_too(database_url, how):
    """I7, S09: the server that revoked it refuses it at once."""
    async with two(database_url) as (house, other):
        person = await house.person()
        tokens, bystander = await house.session(person), await house.session(await house.person("bob@example.com"))
        assert await house.is_let_in(tokens.access)
        assert await other.is_let_in(tokens.access)
        await revoke(house, how, person, tokens)
        assert not await house.is_let_in(tokens.access)
        await eventually(lambda: other.get("/me", token=tokens.access), 401)
        for each in (house, other):
            assert await each.is_let_in(bystander.access)


async def test_a_server_that_starts_later_refuses_what_was_revoked_before(database_url):
    """S05, O5: it loads the snapshot before its first request."""
    async with installation(database_url) as house:
        person = await house.person()
        ended, everywhere = await house.session(person), await house.session(await house.person("bob@example.com"))
        await house.post("/logout", {"refresh_token": ended.refresh})
        await sign_out_everywhere(house.ambient, OPERATOR, everywhere.claims["sub"])
        second = ostiary(database_url, house.clock, house.outbox)
        async with opened(second, house.clock, house.outbox) as other:
            assert not await other.is_let_in(ended.access)
            assert not await other.is_let_in(everywhere.access)


async def test_a_feed_entry_is_kept_until_the_last_token_it_concerns_has_expired(database_url):
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        await house.post("/logout", {"refresh_token": tokens.refresh})
        # not 15 minutes: the setting may have been a day when the token was issued (see below)
        house.clock.advance(86400 + 29)
        await house.tidy()
        house.auth._assembly._revocations.forget(house.ambient.seconds())
        assert not await house.is_let_in(tokens.access)
        assert len(await house.rows("select * from feed where kind = 'session'")) == 1
        house.clock.advance(2)
        await house.tidy()
        assert await house.rows("select * from feed where kind = 'session'") == []


async def test_revocations_stay_in_effect_when_the_token_lifetime_is_lowered(database_url):
    """A token with a lifetime of a day, issued before a restart with 15 minutes, must not outlive its revocation."""
    async with installation(database_url, TokenSettings(access_lifetime=86400)) as house:
        tokens = await house.session(await house.person())
        shorter = ostiary(database_url, house.clock, house.outbox)
        async with opened(shorter, house.clock, house.outbox) as other:
            await other.post("/logout", {"refresh_token": tokens.refresh})
            for _ in range(3):
                house.clock.advance(20 * 60)
                for each in (house, other):
                    await each.tidy()
                    each.auth._assembly._revocations.forget(each.ambient.seconds())
            assert not await other.is_let_in(tokens.access)
            assert not await house.is_let_in(tokens.access)


class Cut:
    """Makes the feed reads of one server fail while the rest of its database works."""

    def __init__(self, house):
        self._database = house.ambient.database

    def __enter__(self):
        for name in ("few", "all"):
            setattr(self._database, name, self._failing(getattr(self._database, name)))

    def __exit__(self, *_):
        del self._database.few, self._database.all

    def _failing(self, read):
        async def reads(sql, *args):
            if "feed_head" in sql:
                raise StoreUnavailable("the line is cut")
            return await read(sql, *args)

        return reads


async def test_without_the_feed_requests_get_503_until_it_recovers(database_url):
    """A stale server must not accept a revoked token, and must not answer 401 to a client with a valid one."""
    async with two(database_url, RevocationSettings(staleness=1)) as (house, other):
        person = await house.person()
        tokens, gone = await house.session(person), await house.session(person)
        with Cut(other):
            answer = await eventually(lambda: other.get("/me", token=tokens.access), 503)
            assert answer.json()["code"] == "unavailable"
            assert answer.headers["retry-after"] == "1"
            await house.post("/logout", {"refresh_token": gone.refresh})
            assert (await other.get("/me", token=gone.access)).status_code == 503
            assert (await other.get("/me", token="nonsense")).status_code == 401
            assert (await other.get("/me")).status_code == 401
            assert await house.is_let_in(tokens.access), "the other server still works"
        await eventually(lambda: other.get("/me", token=tokens.access), 200)
        assert (await other.get("/me", token=gone.access)).status_code == 401


async def test_a_stale_server_signs_nothing_and_spends_nothing(database_url):
    """It refuses before the transaction, so the refresh token stays valid and no family ends."""
    async with two(database_url, RevocationSettings(staleness=1)) as (house, other):
        tokens = await house.session(await house.person())
        with Cut(other):
            await eventually(lambda: other.get("/me", token=tokens.access), 503)
            assert (await other.refresh(tokens.refresh)).status_code == 503
            assert (await other.refresh(tokens.refresh)).status_code == 503
            assert (await other.login()).status_code == 503
            assert (await other.login(transport="cookie", headers=SAME_ORIGIN)).status_code == 503
            assert (await other.post("/logout", {"refresh_token": "x"})).status_code == 204
            assert len(await house.rows("select id from sessions")) == 1
        await eventually(lambda: other.get("/me", token=tokens.access), 200)
        assert tokens_of(await other.refresh(tokens.refresh)).session_id == tokens.session_id


async def test_without_a_signing_key_nothing_is_spent(sqlite_url):
    """Otherwise a retry would look like theft and end the session."""
    async with installation(sqlite_url) as house:
        tokens = await house.session(await house.person())
        key = house.ambient.keys._signing
        house.ambient.keys._signing = None
        for answer in (await house.refresh(tokens.refresh), await house.login()):
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert len(await house.rows("select id from sessions")) == 1
        house.ambient.keys._signing = key
        assert (await house.refresh(tokens.refresh)).status_code == 200


async def test_logout_works_on_a_stale_server(database_url):
    """Ending a session is always safe."""
    async with two(database_url, RevocationSettings(staleness=1)) as (house, other):
        tokens = await house.session(await house.person())
        with Cut(other):
            await eventually(lambda: other.get("/me", token=tokens.access), 503)
            assert (await other.post("/logout", {"refresh_token": tokens.refresh})).status_code == 204
        await eventually(lambda: house.get("/me", token=tokens.access), 401)
