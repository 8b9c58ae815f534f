"""Status lists: the bit for the tokens of a session is set with their revocation, and no other bit is."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import jwt
import pytest

from ostiary.core.accounts.service import set_roles
from ostiary.core.plug import Actor
from ostiary.core.sessions.service import set_disabled, sign_out_everybody, sign_out_everywhere
from ostiary.core.tokens.keys.service import revoke as revoke_key
from ostiary.core.tokens.service import revoke
from ostiary.core.tokens.status.bits import NEEDED, REBUILT_EVERY, SETTLED
from ostiary.core.tokens.status.published import LIFETIME, PublishedLists
from ostiary.core.tokens.status.service import refuse_slot
from ostiary.settings import SessionSettings, TokenSettings
from ostiary.store.feed import append, head
from ostiary.store.generation import raise_generation
from ostiary.verifier.status_list import verify_status_list
from tests.core.installation import ISSUER, claims_of, installation, opened, ostiary, tokens_of
from tests.core.watching import WatchedDatabase

OPERATOR = Actor.operator("test")
FIRST = f"{ISSUER}/auth/status/1"


def slot(tokens):
    """The URI of the list, and the index."""
    entry = tokens.claims["status"]["status_list"]
    return entry["uri"], entry["idx"]


async def list_at(house, uri):
    """A list as a verifier gets it, fetched after a second has passed and this server has read the whole feed."""
    house.clock.advance(1)
    await house.auth._assembly._follower.catch_up()
    answer = await house.ask("GET", uri)
    assert answer.status_code == 200, answer.text
    now = house.ambient.seconds()
    found, _ = verify_status_list(answer.text, house.ambient.keys.published, issuer=ISSUER, uri=uri, now=now, leeway=0)
    return found


async def is_refused(house, tokens):
    uri, index = slot(tokens)
    return (await list_at(house, uri)).status(index) == 1


async def bits_set(house, uri=FIRST):
    found = await list_at(house, uri)
    return {index for index in range(len(found)) if found.status(index)}


def with_lists(house, *, size=2**20, database=None):
    """Replaces the lists of the installation with lists of this size."""
    ambient = house.ambient
    lists = PublishedLists(
        database or ambient.database,
        ambient.feed,
        keys=ambient.keys,
        settings=ambient.settings,
        clock=ambient.clock,
        size=size,
    )
    house.auth._life.ambient = replace(ambient, status_lists=lists)


@asynccontextmanager
async def two(database_url):
    """Two servers on one database."""
    async with installation(database_url) as house:
        second = ostiary(database_url, house.clock, house.outbox)
        async with opened(second, house.clock, house.outbox) as other:
            yield house, other


async def end(house, how, person, tokens):
    ambient = house.ambient
    if how == "logout":
        await house.post("/logout", {"refresh_token": tokens.refresh})
    elif how == "reuse":
        house.clock.advance(ambient.settings.of(TokenSettings).refresh_grace)
        await house.refresh(tokens.refresh)
        house.clock.advance(ambient.settings.of(TokenSettings).refresh_grace)
        await house.refresh(tokens.refresh)
    elif how == "token":
        await revoke(ambient, OPERATOR, tokens.access)
    elif how == "roles":
        await set_roles(ambient, OPERATOR, person.id, add={"moderator"})
    elif how == "disabled":
        await set_disabled(ambient, OPERATOR, person.id, disabled=True)
    else:
        await sign_out_everywhere(ambient, OPERATOR, person.id)


@pytest.mark.parametrize("how", ["logout", "reuse", "token", "roles", "disabled", "everywhere"])
async def test_every_revocation_sets_the_bit_of_its_tokens_and_no_other(database_url, how):
    """I7: fetched from two servers. One of them learns about the revocation only through the feed."""
    async with two(database_url) as (house, other):
        person = await house.person()
        tokens, bystander = await house.session(person), await house.session(await house.person("bob@example.com"))
        for each in (house, other):
            assert await bits_set(each) == set()
        await end(house, how, person, tokens)
        for each in (house, other):
            assert await bits_set(each) == {slot(tokens)[1]}
            assert not await is_refused(each, bystander)


async def test_signing_everybody_out_sets_every_taken_bit(database_url):
    """One row ends all sessions. The lists show it for each of them, but not for later sign-ins."""
    async with installation(database_url) as house:
        with_lists(house, size=64)
        person = await house.person()
        before = [await house.session(person) for _ in range(80)]
        assert len({slot(tokens)[0] for tokens in before}) > 1
        await sign_out_everybody(house.ambient, OPERATOR)
        after = await house.session(person)
        assert [await is_refused(house, tokens) for tokens in before] == [True] * len(before)
        assert not await is_refused(house, after)
        taken = {uri for uri, _ in map(slot, before)}
        assert {(uri, index) for uri in taken for index in await bits_set(house, uri)} == set(map(slot, before))


async def test_a_refresh_after_a_role_change_gets_a_new_bit(database_url):
    """S09: the list refuses the old token but not the new one of the same session."""
    async with installation(database_url) as house:
        person = await house.person()
        old = await house.session(person)
        await set_roles(house.ambient, OPERATOR, person.id, add={"moderator"})
        new = tokens_of(await house.refresh(old.refresh))
        again = tokens_of(await house.refresh(new.refresh))
        assert slot(new) != slot(old)
        assert slot(again) == slot(new)
        assert await is_refused(house, old)
        assert not await is_refused(house, new)


async def test_a_refresh_after_a_token_was_revoked_gets_a_new_bit(database_url):
    async with installation(database_url) as house:
        old = await house.session(await house.person())
        await revoke(house.ambient, OPERATOR, old.access)
        new = tokens_of(await house.refresh(old.refresh))
        assert await is_refused(house, old)
        assert not await is_refused(house, new)


async def test_unused_lists_are_removed(database_url):
    """A server keeps only lists with taken slots in memory, however many lists there have been."""
    async with installation(database_url, SessionSettings(lifetime=3600, idle=3600)) as house:
        with_lists(house, size=8)
        person = await house.person()
        sessions = [await house.session(person) for _ in range(20)]
        numbers = sorted({int(slot(tokens)[0].rpartition("/")[2]) for tokens in sessions})
        assert len(numbers) > 2
        for number in numbers:
            assert (await house.get(f"/status/{number}")).status_code == 200
        await house.tidy()
        assert await house.rows("select number from status_lists order by number") == [(n,) for n in numbers]
        house.clock.advance(2 * 3600)
        await house.tidy()
        for number in numbers:
            assert (await house.get(f"/status/{number}")).status_code == (200 if number == numbers[-1] else 404)
        assert set(house.ambient.status_lists._copies) == {numbers[-1]}
        assert slot(await house.session(person))[0].endswith(f"/{numbers[-1]}")


async def test_the_response_follows_the_specification(sqlite_url):
    """Token Status List §5.1 and §8.2, read by another library."""
    async with installation(sqlite_url) as house:
        answer = await house.get("/status/1")
        assert answer.headers["content-type"] == "application/statuslist+jwt"
        assert answer.headers["cache-control"] == "public, max-age=30, must-revalidate"
        assert answer.headers["access-control-allow-origin"] == "*"
        key = jwt.PyJWKSet.from_dict((await house.ask("GET", "/.well-known/jwks.json")).json()).keys[0]
        read = jwt.decode_complete(
            answer.text, key, algorithms=["ES256"], options={"verify_exp": False, "verify_iat": False}
        )
        assert read["header"]["typ"] == "statuslist+jwt"
        claims, now = read["payload"], house.ambient.seconds()
        compressed = claims.pop("status_list")
        assert (compressed["bits"], set(compressed)) == (1, {"bits", "lst"})
        assert claims == {"sub": FIRST, "iss": ISSUER, "iat": now, "exp": now + LIFETIME, "ttl": 60}


@pytest.mark.parametrize(
    "number", ["0", "2", "01", "-1", "x", "1.0", "%31%00", "9" * 18, "9" * 19, "9" * 5000, "\u0661"]
)
async def test_an_unknown_list_is_404_in_every_spelling(sqlite_url, number):
    async with installation(sqlite_url) as house:
        assert (await house.get("/status/1")).status_code == 200
        answer = await house.get(f"/status/{number}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert answer.headers["cache-control"] == "no-store"


async def test_nothing_is_computed_without_a_request_or_a_change(database_url):
    """Not before the first request, and not for repeated requests, however many and for whichever list."""
    async with installation(database_url) as house:
        statements = []
        with_lists(house, database=WatchedDatabase(house.ambient.database, statements.append))
        tokens = await house.session(await house.person())
        await house.post("/logout", {"refresh_token": tokens.refresh})
        await house.auth._assembly._follower.catch_up()
        assert statements == []
        texts = {answer.text for answer in await asyncio.gather(*(house.get("/status/1") for _ in range(20)))}
        assert len(texts) == 1
        assert await is_refused(house, tokens)
        statements.clear()
        for _ in range(5):
            assert await is_refused(house, tokens)
        assert statements == []


async def test_a_copy_is_signed_again_before_it_is_outdated(sqlite_url):
    """A verifier that counts from `iat`, behind a cache with the oldest allowed copy, still has time left to use it."""
    async with installation(sqlite_url) as house:
        issued = []
        for _ in range(40):
            claims = claims_of((await house.get("/status/1")).text)
            issued.append(claims["iat"])
            assert house.ambient.seconds() - claims["iat"] + 30 < claims["ttl"]
            house.clock.advance(1)
        assert len(set(issued)) == 3, "every fifteen seconds, and not each time"


async def test_a_list_is_not_signed_with_a_revoked_key(sqlite_url):
    async with installation(sqlite_url) as house:
        kid = jwt.get_unverified_header((await house.get("/status/1")).text)["kid"]
        await revoke_key(house.ambient, OPERATOR, kid)
        fresh = jwt.get_unverified_header((await house.get("/status/1")).text)["kid"]
        assert fresh == house.ambient.keys.current.kid != kid


async def test_a_stale_server_serves_no_list(sqlite_url):
    """It cannot know what was revoked. Caches must not store the refusal."""
    async with installation(sqlite_url) as house:
        assert (await house.get("/status/1")).status_code == 200
        house.auth._assembly._revocations._fresh = lambda: False
        answer = await house.get("/status/1")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["cache-control"] == "no-store"


async def test_an_index_is_reused_only_when_no_token_has_it_and_its_bit_is_cleared(database_url):
    """The only slot of a list is taken by a short session and then becomes free. Before that no other session gets it.
    Afterwards its new session is not refused because of the old one, although the feed still has the old entry."""
    async with installation(database_url, SessionSettings(lifetime=3600, idle=3600)) as house:
        with_lists(house, size=1)
        person = await house.person()
        old = await house.session(person)
        await house.post("/logout", {"refresh_token": old.refresh})
        assert await is_refused(house, old)
        house.clock.advance(2 * 3600 - 60)
        await house.tidy()
        assert slot(await house.session(person)) != slot(old)
        house.clock.advance(60)
        await house.tidy()
        assert len(await house.rows("select * from feed where kind = 'session'")) == 1
        await house.ambient.database.execute("delete from status_lists where number > 1")
        new = await house.session(person)
        assert slot(new) == slot(old)
        assert not await is_refused(house, new)


async def test_a_bit_is_cleared_before_another_session_gets_the_slot(sqlite_url):
    async with installation(sqlite_url, SessionSettings(lifetime=3600, idle=3600)) as house:
        tokens = await house.session(await house.person())
        await house.post("/logout", {"refresh_token": tokens.refresh})
        ((free_at,),) = await house.rows("select until from status_slots")
        cleared_at = None
        while house.ambient.now() < free_at:
            if not await is_refused(house, tokens):
                cleared_at = cleared_at or house.ambient.now()
            else:
                assert cleared_at is None
            house.clock.advance(59)
        assert cleared_at is not None
        assert claims_of(tokens.access)["exp"] * 1_000_000 < cleared_at < free_at - REBUILT_EVERY * 1_000_000


async def test_a_slot_with_its_own_feed_entry_is_kept_as_long_as_the_entry(database_url):
    """If a single token is revoked shortly before its session ends, the feed entry outlives the slot's own time."""
    async with installation(database_url, SessionSettings(lifetime=3600, idle=3600)) as house:
        with_lists(house, size=8)
        person = await house.person()
        tokens = await house.session(person)
        await revoke(house.ambient, OPERATOR, tokens.access)
        ((until,),) = await house.rows("select until from feed where kind = 'status'")
        while house.ambient.now() < until:
            assert await is_refused(house, tokens)
            house.clock.advance(3 * 3600)
            await house.tidy()
            others = [await house.session(person) for _ in range(8)]
            assert slot(tokens) not in set(map(slot, others))
        house.clock.advance(2 * 3600)
        await house.tidy()
        assert await house.rows("select * from status_slots where list = 1") == []


async def test_a_bit_is_cleared_when_no_token_with_it_can_be_valid(database_url):
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        await house.post("/logout", {"refresh_token": tokens.refresh})
        assert await is_refused(house, tokens)
        house.clock.advance(86400 + 29 - 1)
        await house.tidy()
        assert await is_refused(house, tokens)
        house.clock.advance(REBUILT_EVERY)
        await house.tidy()
        assert await bits_set(house) == set()


async def test_requests_do_not_wait_for_a_rebuild_and_concurrent_revocations_are_not_lost(database_url):
    """In a large installation a rebuild takes many seconds. Other callers get recent revocations during that time."""
    async with installation(database_url) as house:
        person = await house.person()
        earlier, later = await house.session(person), await house.session(person)
        gate = Gate(house.ambient.database)
        with_lists(house, database=gate)
        await house.post("/logout", {"refresh_token": earlier.refresh})
        assert await is_refused(house, earlier)
        house.clock.advance(SETTLED)
        assert await is_refused(house, earlier)
        house.clock.advance(REBUILT_EVERY)
        gate.open.clear()
        slow = asyncio.create_task(house.get("/status/1"))
        both = {slot(earlier)[1], slot(later)[1]}
        async with asyncio.timeout(20):
            await gate.reached.wait()
            await house.post("/logout", {"refresh_token": later.refresh})
            assert await bits_set(house) == both
        gate.open.set()
        assert (await slow).status_code == 200
        assert await bits_set(house) == both


class Gate:
    """A database that blocks reads of the feed from its beginning."""

    def __init__(self, database):
        self._database = database
        self.open, self.reached = asyncio.Event(), asyncio.Event()
        self.open.set()

    async def all(self, sql, *args):
        return await self._database.all(sql, *args)

    async def one(self, sql, *args):
        if args[:1] == (0,) and not self.open.is_set():
            self.reached.set()
            await self.open.wait()
        return await self._database.one(sql, *args)


async def test_a_slot_taken_in_a_transaction_concurrent_with_the_revocation_is_refused_soon(database_url):
    """On PostgreSQL the slot becomes visible after the revocation was processed, and the feed has no further entry."""
    async with installation(database_url) as house:
        person = await house.person()
        tokens = await house.session(person)
        await sign_out_everywhere(house.ambient, OPERATOR, person.id)
        assert await is_refused(house, tokens)
        until = house.ambient.now() + 30 * 86_400_000_000
        free = (slot(tokens)[1] + 1) % 2**20
        await house.ambient.database.execute(
            "insert into status_slots (list, idx, session_id, account_id, ver, until)"
            " values (1, $1, 'ses_late', $2, 1, $3)",
            free,
            person.id,
            until,
        )
        assert await bits_set(house) == {slot(tokens)[1]}
        house.clock.advance(SETTLED)
        assert await bits_set(house) == {slot(tokens)[1], free}


async def test_after_a_restore_the_bits_match_the_restored_feed(own_url):
    """Feed numbers may be reused after a restore, so the state in memory is discarded."""
    async with installation(own_url) as house:
        person = await house.person()
        forgotten, ended = await house.session(person), await house.session(person)
        await house.post("/logout", {"refresh_token": forgotten.refresh})
        assert await is_refused(house, forgotten)
        database = house.ambient.database
        await database.execute("delete from feed where kind = 'session'")
        await database.execute("update feed_head set seq = seq - 1")
        now = house.ambient.now()
        await database.transaction(lambda tx: raise_generation(tx, now=now))
        await house.post("/logout", {"refresh_token": ended.refresh})
        assert await bits_set(house) == {slot(ended)[1]}


@pytest.mark.parametrize("asked_before", [True, False])
async def test_more_entries_than_one_statement_processes_are_all_applied(database_url, asked_before):
    """This includes other entries in between, and entries that arrive all at once or in small steps."""
    count = 4500
    async with installation(database_url) as house:
        ambient = house.ambient
        if asked_before:
            assert await bits_set(house) == set()
        until = ambient.now() + (NEEDED + 3600) * 1_000_000
        for start in range(0, count, 500):

            async def body(tx, start=start):
                entries = []
                for index in range(start, start + 500):
                    await tx.execute(
                        "insert into status_slots (list, idx, session_id, account_id, ver, until)"
                        " values (1, $1, 'ses_x', 'acc_x', 1, $2)",
                        index,
                        until,
                    )
                    entries.append(await refuse_slot(tx, 1, index, now=ambient.now()))
                await append(tx, entries, random=ambient.random)

            await ambient.database.transaction(body)
        assert await bits_set(house) == set(range(count))


async def test_after_a_failover_that_lost_entries_the_lists_have_the_new_ones(database_url):
    """A session that ends after the failover gets the number of a revocation that the lists have read already."""
    async with installation(database_url) as house:
        database = house.ambient.database
        lost, ended = [await house.session(await house.person(f"{name}@example.com")) for name in ("ada", "bob")]
        assert await bits_set(house) == set()
        before = await head(database)
        await house.post("/logout", {"refresh_token": lost.refresh})
        assert await is_refused(house, lost)
        read = await head(database)
        await database.execute("delete from feed where seq > $1", before.seq)
        await database.execute("update feed_head set seq = $1", before.seq)
        await house.post("/logout", {"refresh_token": ended.refresh})
        assert (await head(database)).seq == read.seq
        assert await is_refused(house, ended)


async def test_without_status_lists_tokens_have_no_status_claim(sqlite_url):
    """The lists stay available for tokens from before the setting was changed."""
    async with installation(sqlite_url, TokenSettings(status_lists=False)) as house:
        tokens = await house.session(await house.person())
        assert "status" not in tokens.claims
        assert await bits_set(house) == set()
