"""The messages of the feed: every revocation in order, without gaps, signed for one client."""

import asyncio

import jwt
import pytest

from ostiary.core.accounts.service import set_roles
from ostiary.core.clients import service as clients
from ostiary.core.sessions.service import sign_out_everybody
from ostiary.core.tokens.keys.service import revoke as revoke_key
from ostiary.core.tokens.service import revoke
from ostiary.errors import ClaimRejected, InvalidToken, StoreUnavailable
from ostiary.settings import RevocationSettings
from ostiary.store.generation import raise_generation
from ostiary.verifier.feed_message import verify_feed_message
from tests.core.installation import ISSUER, installation
from tests.features.feed.service import OPERATOR, happen, keys_of, service_of, two


async def test_the_feed_reports_everything_that_revokes_tokens(database_url):
    """I7: both in a snapshot and in the message after a position."""
    async with installation(database_url) as house:
        service, ambient = await service_of(house), house.ambient
        person = await house.person()
        ended, revoked = await house.session(person), await house.session(person)
        before = await service.told()
        await house.post("/logout", {"refresh_token": ended.refresh})
        await revoke(ambient, OPERATOR, revoked.access)
        await set_roles(ambient, OPERATOR, person.id, add={"moderator"})
        await sign_out_everybody(ambient, OPERATOR)
        kid = ambient.keys.current.kid
        await revoke_key(ambient, OPERATOR, kid)

        def since_before(message):
            found = {entry.kind: (entry.key, entry.value) for entry in message.entries}
            assert all(entry.until > ambient.seconds() + 86400 for entry in message.entries)
            return found

        ((epoch, least),) = await house.rows("select a.epoch, r.least from accounts a cross join realm r")
        expected = {
            "session": (ended.session_id, 0),
            "token": (revoked.claims["jti"], 0),
            "epoch": (person.id, epoch),
            "everything": ("", least),
            "key_revoked": (kid, 0),
        }
        after = await service.told(before)
        assert since_before(after) == expected
        assert since_before(await service.told()) == expected
        assert (before.previous, after.previous) == (0, before.current)


async def test_entries_that_verifiers_do_not_need_are_left_out_but_counted(database_url):
    async with installation(database_url) as house:
        service = await service_of(house)
        before = await service.told()
        await happen(house, "x", kind="key")
        await happen(house, "first")
        await happen(house, "7", kind="status")
        await happen(house, "x", kind="of a later version")
        message = await service.told(before)
        assert keys_of(message) == ["first"]
        assert (message.previous, message.current, message.more) == (before.current, before.current + 4, False)


async def test_without_news_the_message_has_no_entries(database_url):
    async with installation(database_url) as house:
        service = await service_of(house)
        first = await service.told()
        house.clock.advance(3)
        for wait in (0, 1):
            message = await service.told(first, wait=wait)
            assert (message.previous, message.current, message.more) == (first.current, first.current, False)
            assert message.entries == ()
            assert message.iat == house.ambient.seconds()


async def test_a_long_feed_is_split_into_messages(database_url):
    """Each message has at most a thousand entries. Entries that are left out do not end the feed early."""
    async with installation(database_url) as house:
        service = await service_of(house)
        start = await service.told()
        names = [f"ses_{number}" for number in range(2100)]
        await happen(house, *names)
        for first in (None, start):
            messages = [await service.told(first, wait=1)]
            while messages[-1].more:
                messages.append(await service.told(messages[-1], wait=1))
            assert [key for message in messages for key in keys_of(message) if key in set(names)] == names
            assert len(messages) == 3
            assert all(len(message.entries) <= 1000 for message in messages)
            assert [message.previous for message in messages[1:]] == [message.current for message in messages[:-1]]
        await happen(house, *("x" for _ in range(1000)), kind="key")
        silent = await service.told(messages[-1])
        assert (silent.entries, silent.more, silent.current) == ((), False, messages[-1].current + 1000)


@pytest.mark.parametrize("after", ["{g}.{beyond}", "{other}.{s}", "0.0", "999999999999999999.999999999999999999"])
async def test_an_unknown_position_gets_a_snapshot(database_url, after):
    """A position beyond the end or of another generation does not exist in this feed."""
    async with installation(database_url) as house:
        service = await service_of(house)
        await happen(house, "early")
        now = await service.told()
        position = after.format(g=now.generation, s=now.current, beyond=now.current + 1, other=now.generation + 1)
        for wait in ("0", "1"):
            message = service.read(await service.ask(f"after={position}&wait={wait}"))
            assert message.previous == 0
            assert message.current == now.current
            assert "early" in keys_of(message)


async def test_after_a_failover_that_lost_entries_the_client_gets_a_snapshot(database_url):
    """Other entries have the numbers that the client has read. It must not skip them."""
    async with installation(database_url) as house:
        service, database = await service_of(house), house.ambient.database
        await happen(house, "kept")
        kept = await service.told()
        await happen(house, "lost")
        for before in (await service.told(kept), await service.told()):
            assert keys_of(before)[-1] == "lost"
        await database.execute("delete from feed where key = 'lost'")
        await database.execute("update feed_head set seq = $1", kept.current)
        await happen(house, "new")
        for wait in (0, 20):
            message = await service.told(before, wait=wait)
            assert (message.previous, message.previous_mark, message.current) == (0, None, before.current)
            assert keys_of(message)[-2:] == ["kept", "new"]
        assert keys_of(await service.told(kept)) == ["new"]


async def test_a_client_of_a_version_without_marks_is_served_as_before(database_url):
    """Its position is a generation and a number. It waits for news, and gets them without a snapshot."""
    async with installation(database_url) as house:
        service = await service_of(house)
        first = await service.told()
        await happen(house, "news")
        for wait in (0, 1):
            message = service.read(await service.ask(f"after={first.generation}.{first.current}&wait={wait}"))
            assert (message.previous, message.previous_mark, keys_of(message)) == (first.current, None, ["news"])
        position = f"{message.generation}.{message.current}"
        asking = asyncio.create_task(service.ask(f"after={position}&wait=20"))
        await asyncio.sleep(0.5)
        assert not asking.done()
        await happen(house, "more")
        assert keys_of(service.read(await asking)) == ["more"]


async def test_after_a_restore_the_client_gets_a_snapshot(sqlite_url):
    async with installation(sqlite_url) as house:
        service = await service_of(house)
        await happen(house, "known")
        before = await service.told()
        now = house.ambient.now()
        await house.ambient.database.transaction(lambda tx: raise_generation(tx, now=now))
        message = await service.told(before, wait=20)
        assert (message.previous, message.generation) == (0, now)
        assert "known" in keys_of(message)


async def test_an_answer_contains_everything_that_happened_before_the_request(database_url):
    """Another server wrote the entry before the request, and this server has not read it yet."""
    async with two(database_url) as (house, other):
        service = (await service_of(house)).at(other)
        for wait in (0, 1):
            before = await service.told()
            async with other.auth._assembly._follower._reading:  # the server cannot read the feed
                await happen(house, f"news {wait}")
                assert keys_of(await service.told(before, wait=wait)) == [f"news {wait}"]


async def test_a_client_can_switch_between_servers(database_url):
    async with two(database_url) as (house, other):
        here = await service_of(house)
        there = here.at(other)
        message = await there.told(await here.told())
        for turn in range(3):
            await happen(other, f"turn {turn}")
            message = await (here, there)[turn % 2].told(message, wait=20)
            assert keys_of(message) == [f"turn {turn}"]


async def test_a_message_has_its_own_type_and_is_for_one_client(sqlite_url):
    """A valid signature is not enough: it is not an access token, and other clients refuse it (J21, J26)."""
    async with installation(sqlite_url) as house:
        service, other = await service_of(house), await service_of(house, "billing")
        answer = await service.ask()
        assert jwt.get_unverified_header(answer.text)["typ"] == "ostiary-feed+jwt"
        with pytest.raises(ClaimRejected):
            other.read(answer)
        with pytest.raises(InvalidToken):
            house.ambient.verifier.verify(answer.text)
        tokens = await house.session(await house.person())
        with pytest.raises(InvalidToken):
            verify_feed_message(tokens.access, house.ambient.keys.published, issuer=ISSUER, client_id=service.id)


async def test_only_an_authenticated_client_gets_the_feed(sqlite_url):
    """L9, O07: the client must exist and send its own current secret in the header."""
    async with installation(sqlite_url) as house:
        service, other = await service_of(house), await service_of(house, "billing")
        admin = await house.session(await house.person("ada@example.com", "admin"))
        former, service.secret = service.secret, await clients.rotate(house.ambient, OPERATOR, service.id)
        refused = [
            await house.get("/feed"),
            await house.get("/feed", token=admin.access),
            await service.ask(secret=former),
            await service.ask(secret=other.secret),
            await service.ask(client_id=other.id),
            await service.ask(client_id="client_" + "a" * 26),
        ]
        await service.told()
        in_the_url = await house.get(f"/feed?client_id={service.id}&client_secret={service.secret}")
        assert in_the_url.status_code == 400
        await clients.delete(house.ambient, OPERATOR, service.id)
        refused.append(await service.ask())
        for answer in refused:
            assert (answer.status_code, answer.json()["code"]) == (401, "invalid_client")
            assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "query",
    ["after=", "after=1", "after=1.", "after=.1", "after=1.2.3.4", "after=1.2.",
     "after=-1.2", "after=1.-2", "after=1.2e1", "after=x.y",
     "after=1.1234567890123456789", "after=%D9%A1.1", "after=1.1&after=1.1", "wait=31", "wait=-1", "wait=1.5", "wait=",
     "wait=x", "before=1.1", "after=1.1%00"],
)  # fmt: skip
async def test_an_invalid_query_gets_400(sqlite_url, query):
    async with installation(sqlite_url) as house:
        answer = await (await service_of(house)).ask(query)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


async def test_a_stale_server_returns_503(sqlite_url):
    """A message without entries would say that nothing was revoked, and a stale server cannot know that."""
    async with installation(sqlite_url) as house:
        service = await service_of(house)
        now = await service.told()
        house.auth._assembly._revocations._fresh = lambda: False
        for query in ("", f"after={now.generation}.{now.current}&wait=20"):
            answer = await service.ask(query)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert answer.headers["retry-after"] == "1"


async def test_a_server_that_becomes_stale_while_a_client_waits_returns_503(database_url):
    async with installation(database_url, RevocationSettings(staleness=1)) as house:
        service = await service_of(house)
        now = await service.told()
        database = house.ambient.database

        async def fails(_sql, *_args):
            raise StoreUnavailable("the connection is lost")

        find = database.few
        waiting = asyncio.create_task(service.ask(f"after={now.generation}.{now.current}&wait=3"))
        await asyncio.sleep(0.5)  # the server reads the feed once more after the request
        database.few = lambda sql, *args: (fails if "feed_head" in sql else find)(sql, *args)
        try:
            answer = await waiting
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        finally:
            del database.few


async def test_verifiers_accept_the_longest_message(sqlite_url):
    """It has a thousand entries with the longest ids and numbers that Ostiary creates."""
    async with installation(sqlite_url) as house:
        service = await service_of(house)
        now = await service.told()
        await happen(house, *("k" * 43 for _ in range(1000)), kind="key_revoked")
        assert len((await service.told(now)).entries) == 1000
