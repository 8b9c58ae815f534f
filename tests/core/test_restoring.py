"""After restoring a backup: ended sessions stay ended, and tokens that the backup does not contain are refused."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from ostiary.core.plug import Actor
from ostiary.core.restoring import finish_restore
from ostiary.core.sessions.service import sign_out_everywhere
from ostiary.core.tokens.keys import service as keys
from ostiary.core.tokens.keys.model import State
from ostiary.errors import Forbidden, StoreUnavailable
from ostiary.store.feed import Entry, Follower
from ostiary.store.generation import generation
from tests.core.accounts.test_verification import PRODUCTION, SMTP, pending, verify
from tests.core.backups import back_up, restore
from tests.core.installation import EMAIL, by, eventually, opened, ostiary, tokens_of
from tests.core.sign_in.test_dispatcher import begin, finish, plugged
from tests.core.tokens.key_life import keys as states_of
from tests.core.tokens.key_life import nodes, one

OPERATOR = Actor.operator("test")


@pytest.fixture(params=["sqlite", "postgres"])
def own_url(request, tmp_path):
    """A separate database that the test can replace."""
    return f"sqlite:///{tmp_path / 'own.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@asynccontextmanager
async def command(house, url):
    """What `ostiary restored` opens: a separate process with a later clock."""
    house.clock.advance(1)
    auth = ostiary(url, house.clock, house.outbox)
    async with opened(auth, house.clock, house.outbox) as other:
        yield other


async def published(house):
    answer = await house.ask("GET", "/.well-known/jwks.json")
    return {key["kid"] for key in answer.json()["keys"]}


async def test_a_server_that_keeps_running_refuses_all_old_tokens_and_keys(own_url):
    """O5, C-3: a session that was signed out after the backup, sessions that the backup does not contain, and keys that
    were revoked after the backup."""
    async with nodes(own_url) as [house]:
        ada = await house.person()
        signed_out = await house.session(ada)
        await keys.rotate(house.ambient, OPERATOR)
        stolen = [await one(house, State.CURRENT), await one(house, State.NEXT)]
        await back_up(own_url)

        await eventually(lambda: house.get("/me", token=signed_out.access), 200)
        lost_by_stolen_key = await house.session(ada)
        for kid in stolen:
            await keys.revoke(house.ambient, OPERATOR, kid)
        await sign_out_everywhere(house.ambient, OPERATOR, ada.id)
        lost = await house.session(ada)
        assert await house.is_let_in(lost.access)

        await restore(own_url)
        everything = (signed_out, lost_by_stolen_key, lost)
        async with command(house, own_url) as other:
            assert set(stolen) <= {kid for kid, _ in await states_of(other)}
            assert await other.is_let_in(signed_out.access), "without the tested step the session is alive again"
            done = await finish_restore(other.ambient, OPERATOR)
            assert set(done.keys.kids) == set(stolen)
            for each in (other, house):
                for tokens in everything:
                    await eventually(lambda tokens=tokens, each=each: each.get("/me", token=tokens.access), 401)
                    # 503 until it has read its new key
                    await eventually(lambda tokens=tokens, each=each: each.refresh(tokens.refresh), 401)
                # the key that is not in the backup disappears when the rows are read again, which the feed triggers
                async with asyncio.timeout(5):
                    while await published(each) != {done.keys.successor}:  # noqa: ASYNC110 — it happens elsewhere
                        await asyncio.sleep(0.02)
            fresh = tokens_of(await house.login())
            assert await other.is_let_in(fresh.access)
            assert (await house.refresh(fresh.refresh)).status_code == 200
        assert await house.events("tokens.refresh_token_reused") == []


async def test_feed_readers_load_a_new_snapshot_after_each_restore(own_url):
    """This includes restoring one backup twice: the second restore gets a new generation."""
    async with nodes(own_url) as [house]:
        heard: list[Entry] = []
        follower = Follower(house.ambient.database, heard.extend)
        await follower.catch_up()
        await back_up(own_url)
        generations = [await generation(house.ambient.database)]
        for _ in range(2):
            await restore(own_url)
            async with command(house, own_url) as other:
                done = await finish_restore(other.ambient, OPERATOR)
            heard.clear()
            await eventually_reads(follower)
            assert {entry.kind for entry in heard} >= {"everything", "key_revoked", "key"}
            assert {entry.key for entry in heard if entry.kind == "key_revoked"} == set(done.keys.kids)
            generations.append(done.generation)
        assert generations == sorted(set(generations))


async def eventually_reads(follower):
    """A server that loses a database disconnects its clients, which reconnect automatically."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await follower.catch_up()
            except StoreUnavailable:
                await asyncio.sleep(0.02)


async def test_a_feed_reader_sees_the_sign_out_of_a_second_restore(own_url):
    async with nodes(own_url) as [house]:
        ada, bob = await house.person(), await house.person("bob@example.com")
        await back_up(own_url)
        for person in (ada, bob):
            await restore(own_url)
            async with command(house, own_url) as other:
                await finish_restore(other.ambient, OPERATOR)
                tokens = await other.session(person)
                await eventually(lambda tokens=tokens: house.get("/me", token=tokens.access), 200)
                await sign_out_everywhere(other.ambient, OPERATOR, person.id)
                await eventually(lambda tokens=tokens: house.get("/me", token=tokens.access), 401)


async def test_links_and_open_sign_ins_of_the_backup_are_refused(own_url, monkeypatch):
    async with plugged(own_url, monkeypatch, SMTP, **PRODUCTION) as house:
        link = await pending(house, "bob@example.com")
        attempt = await begin(house)
        done = await finish_restore(house.ambient, OPERATOR)
        assert done.registrations == 1
        answer = await verify(house, link)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
        answer = await finish(house, attempt)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_code")
        assert await house.rows("select email from accounts") == [(EMAIL,)]
        assert tokens_of(await finish(house, await begin(house)))


async def test_a_restore_is_recorded_and_can_be_finished_twice(own_url):
    async with nodes(own_url) as [house]:
        first = await one(house, State.CURRENT)
        done = [await finish_restore(house.ambient, OPERATOR) for _ in range(2)]
        assert [each.keys.kids for each in done] == [(first,), (done[0].keys.successor,)]
        assert done[0].generation < done[1].generation
        assert house.ambient.keys.current.kid == done[1].keys.successor
        events = await house.events("installation.restored")
        assert [(event["actor_kind"], event["actor_id"]) for event in events] == [("operator", "test")] * 2
        told = await house.rows("select detail from audit_events where type = 'keys.all_revoked' order by at, id")
        assert sorted(json.loads(detail)["kids"] for (detail,) in told) == sorted(list(each.keys.kids) for each in done)


async def test_finishing_a_restore_requires_both_permissions(own_url):
    async with nodes(own_url) as [house]:
        for role in ("users", "keys"):
            await house.ambient.database.execute("insert into roles values ($1, $2)", role, f'["{role}:write"]')
        before = await states_of(house)
        for role in ("users", "keys"):
            with pytest.raises(Forbidden):
                await finish_restore(house.ambient, by(await house.person(f"{role}@example.com", role)))
        assert await states_of(house) == before
        assert await house.rows("select least from realm") == [(0,)]
        assert await house.events("installation.restored") == []
        await finish_restore(house.ambient, by(await house.person("root@example.com", "admin")))
