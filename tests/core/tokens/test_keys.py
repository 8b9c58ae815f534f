"""The life cycle of signing keys on real databases: no switch causes a refusal, and nothing happens twice."""

import asyncio
import itertools
import json
from collections import Counter, deque
from dataclasses import replace

import pytest

from ostiary.core.plug import Actor
from ostiary.core.tokens.keys import keeper, service
from ostiary.core.tokens.keys.model import JWKS_MAX_AGE, State, plan
from ostiary.core.tokens.keys.queries import every
from ostiary.core.tokens.keys.service import advance, tend
from ostiary.core.vault import Vault
from ostiary.errors import (
    BadSignature,
    ConfigurationError,
    Conflict,
    Forbidden,
    NotFound,
    StoreUnavailable,
    Unavailable,
)
from ostiary.jose import sign
from ostiary.settings import KeySettings, RevocationSettings, TokenSettings
from ostiary.verifier import ACCESS_TOKEN_TYPE, LEEWAY, Verifier
from tests.core.installation import ISSUER, SECRET, by, claims_of, eventually, opened, ostiary
from tests.core.tokens.key_life import SECOND, SlowNode, key_events, keys, nodes, one, pass_time, rotated, timing
from tests.core.watching import WatchedDatabase
from tests.logged import written

OPERATOR = Actor.operator("test")
OTHER_SECRET = "Hq8vN2rT6wZ0bC4dF7gJ9kL1mP3sU5xY8aE2iO6qR4t"


class Simulation:
    """One node that acts at once, one that lags as far as allowed, and a verifier that caches the published keys for as
    long as allowed."""

    def __init__(self, house):
        self.house = house
        self.late = SlowNode(house)
        self.copies = deque()
        self.tokens = deque()
        self.kids = Counter()
        self.refused = []

    @property
    def now(self):
        return self.house.clock.now() // SECOND

    async def step(self, seconds, payload_of):
        lag = self.house.ambient.settings.of(RevocationSettings).staleness
        self.house.clock.advance(seconds - lag)
        await self.late.keys.refresh()
        self.house.clock.advance(lag)
        await tend(self.house.ambient)
        for held in (self.house.ambient.keys, self.late.keys):
            self.copies.append((self.now, held.published))
            token = sign(payload_of(self.now), held.current, typ=ACCESS_TOKEN_TYPE)
            self.kids[held.current.kid] += 1
            self.tokens.append((self.now + self.house.ambient.settings.of(TokenSettings).access_lifetime, token))
        while self.copies[0][0] < self.now - JWKS_MAX_AGE:
            self.copies.popleft()
        while self.tokens[0][0] + LEEWAY <= self.now:
            self.tokens.popleft()
        self.check()

    def check(self):
        copies = [self.copies[0][1], self.copies[1][1]]
        far = [Verifier(keys=copy, issuer=ISSUER, audience=ISSUER, clock=lambda: self.now) for copy in copies]
        newest = list(self.tokens)[-4:]
        for _, token in {*newest, self.tokens[0], self.tokens[len(self.tokens) // 2]}:
            for verifier in (*far, self.late.verifier):
                self._verify(verifier, token)
            self._verify(self.house.ambient.verifier, token)

    def _verify(self, verifier, token):
        try:
            verifier.verify(token)
        except BadSignature:
            self.refused.append((self.now, token))


async def test_every_valid_token_verifies_everywhere_through_many_key_rotations(sqlite_url):
    """This includes a lagging node and a verifier with the oldest allowed copy of the keys. So no node signs with a key
    that is not known everywhere, and no key is removed while a token signed by it is valid."""
    async with nodes(sqlite_url, KeySettings(lifetime=3 * 3600), TokenSettings(access_lifetime=86400)) as [house]:
        access = (await house.session(await house.person())).access
        template = house.ambient.verifier.verify(access)
        simulation = Simulation(house)

        def payload_of(now):
            claims = {**claims_of(access), "iat": now, "exp": now + 86400, "auth_time": template.auth_time}
            return json.dumps(claims).encode()

        pauses = itertools.cycle((6, 1000, 11, 65, 299, 31, 2400, 7, 301, 47, 13))
        for _ in range(5):
            for seconds in itertools.islice(pauses, 60):
                await simulation.step(seconds, payload_of)
            await service.rotate(house.ambient, OPERATOR)
            for _ in range(70):
                await simulation.step(6, payload_of)
        assert simulation.refused == []
        assert len(simulation.kids) >= 10, "several full cycles took place"
        removed = [detail for type_, detail in await key_events(house) if type_ == "keys.removed"]
        assert len(removed) >= 2


async def test_the_audit_log_records_scheduled_key_changes(own_url, by_hand):
    async with nodes(own_url) as [house]:
        first = await one(house, State.CURRENT)
        assert await keys(house) == [(first, State.CURRENT)]
        await pass_time(house, timing(house).lifetime - timing(house).notice)
        second = await one(house, State.NEXT)
        assert house.ambient.keys.current.kid == first
        assert second in house.ambient.keys.published
        await pass_time(house, timing(house).notice)
        assert dict(await keys(house)) == {second: State.CURRENT, first: State.RETIRED}
        assert house.ambient.keys.current.kid == second
        assert first in house.ambient.keys.published
        await pass_time(house, timing(house).retention)
        assert await keys(house) == [(second, State.CURRENT)]
        assert first not in house.ambient.keys.published
        told = [(type_, json.loads(detail)["kid"]) for type_, detail in await key_events(house)]
        # events of the same time are in no order
        assert set(told[:2]) == {("keys.created", first), ("keys.activated", first)}
        assert told[2] == ("keys.created", second)
        assert set(told[3:5]) == {("keys.retired", first), ("keys.activated", second)}
        assert told[5:] == [("keys.removed", first)]


async def test_the_private_part_of_a_retired_key_is_deleted_everywhere(sqlite_url):
    async with nodes(sqlite_url) as [house]:
        first = house.ambient.keys.current
        await rotated(house)
        (row,) = [key for key in await every(house.ambient.database) if key.kid == first.kid]
        opened_row = json.loads(house.ambient.vault.open(row.sealed, purpose="retired-key", row=first.kid))
        assert opened_row == first.public.to_jwk()
        with pytest.raises(ConfigurationError):
            house.ambient.vault.open(row.sealed, purpose="signing-key", row=first.kid)


async def test_two_nodes_that_rotate_concurrently_create_one_key_and_switch_once(own_url):
    async with nodes(own_url, count=2) as [one_house, other]:
        first = await one(one_house, State.CURRENT)
        one_house.clock.advance((timing(one_house).lifetime - timing(one_house).notice) / SECOND)
        await asyncio.gather(*(tend(house.ambient) for house in (one_house, other) * 4))
        second = await one(one_house, State.NEXT)
        one_house.clock.advance(timing(one_house).notice / SECOND)
        await asyncio.gather(*(tend(house.ambient) for house in (one_house, other) * 4))
        assert dict(await keys(one_house)) == {second: State.CURRENT, first: State.RETIRED}
        counted = Counter(type_ for type_, _ in await key_events(one_house))
        assert counted == {"keys.created": 2, "keys.activated": 2, "keys.retired": 1}
        assert {house.ambient.keys.current.kid for house in (one_house, other)} == {second}


async def test_nodes_that_open_an_empty_database_concurrently_create_one_key(own_url):
    async with nodes(own_url, count=1) as [house]:
        await house.ambient.database.execute("delete from signing_keys")
        await asyncio.gather(*(tend(house.ambient) for _ in range(6)))
        assert len(await keys(house)) == 1


async def test_operators_who_rotate_concurrently_get_one_next_key(own_url):
    async with nodes(own_url, count=2) as houses:
        asked = await asyncio.gather(*(service.rotate(house.ambient, OPERATOR) for house in houses * 3))
        assert len({upcoming.kid for upcoming in asked}) == 1
        assert len(await keys(houses[0])) == 2


async def test_rotate_switches_as_soon_as_all_verifiers_can_have_the_key(sqlite_url, by_hand):
    async with nodes(sqlite_url) as [house]:
        first, overlap = await one(house, State.CURRENT), timing(house).overlap
        upcoming = await service.rotate(house.ambient, OPERATOR)
        assert upcoming.signs_from == house.clock.now() + overlap
        await pass_time(house, overlap - SECOND)
        assert house.ambient.keys.current.kid == first
        await pass_time(house, SECOND)
        assert house.ambient.keys.current.kid == upcoming.kid


async def test_rotate_uses_an_existing_next_key(sqlite_url):
    async with nodes(sqlite_url) as [house]:
        await pass_time(house, timing(house).lifetime - timing(house).notice)
        following = await one(house, State.NEXT)
        await pass_time(house, timing(house).overlap)
        upcoming = await service.rotate(house.ambient, OPERATOR)
        assert (upcoming.kid, upcoming.signs_from) == (following, house.clock.now())
        assert house.ambient.keys.current.kid == following


async def test_rotating_too_often_is_refused_before_the_jwks_is_full(sqlite_url):
    async with nodes(sqlite_url) as [house]:
        for _ in range(19):
            await service.rotate(house.ambient, OPERATOR)
            await pass_time(house, timing(house).overlap)
        with pytest.raises(Conflict):
            await service.rotate(house.ambient, OPERATOR)
        assert len(house.ambient.keys.published) == 20


async def test_changing_keys_requires_the_permission(sqlite_url):
    async with nodes(sqlite_url) as [house]:
        anybody, admin = await house.person(), await house.person("admin@example.com", "admin")
        kid = await one(house, State.CURRENT)
        with pytest.raises(Forbidden):
            await service.rotate(house.ambient, by(anybody))
        with pytest.raises(Forbidden):
            await service.revoke(house.ambient, by(anybody), kid)
        assert await keys(house) == [(kid, State.CURRENT)]
        await service.revoke(house.ambient, by(admin), kid)
        told = await house.rows("select actor_id, detail from audit_events where type = 'keys.revoked'")
        assert [(actor_id, json.loads(detail)) for actor_id, detail in told] == [(admin.id, {"kid": kid})]


async def test_a_revoked_key_is_refused_at_once_here_and_elsewhere_through_the_feed(own_url, monkeypatch):
    """Only the feed carries the news: no node reads the rows regularly during this test."""
    monkeypatch.setattr(keeper, "TEND_SECONDS", 3600.0)
    async with nodes(own_url, count=2) as [here, elsewhere]:
        access = (await here.session(await here.person())).access
        assert await here.is_let_in(access)
        assert await elsewhere.is_let_in(access)  # the token is in the caches of both nodes
        stolen = here.ambient.keys.current
        revoked = await service.revoke(here.ambient, OPERATOR, stolen.kid)
        assert not await here.is_let_in(access)
        await eventually(lambda: elsewhere.get("/me", token=access), 401)
        async with asyncio.timeout(20):
            while elsewhere.ambient.keys._signing is None:  # noqa: ASYNC110 — no event exists for it
                await asyncio.sleep(0.01)
        for house in (here, elsewhere):
            assert house.ambient.keys.current.kid == revoked.successor
            jwks = (await house.ask("GET", "/.well-known/jwks.json")).json()
            assert [jwk["kid"] for jwk in jwks["keys"]] == [revoked.successor]
        fresh = (await elsewhere.session(await elsewhere.person("eve@example.com"))).access
        assert await here.is_let_in(fresh)


async def test_all_keys_are_revoked_at_once_here_and_elsewhere_through_the_feed(own_url):
    """The next and the retired key are revoked too. Tokens of all keys are refused, and one new key signs."""
    async with nodes(own_url, count=2) as [here, elsewhere]:
        person = await here.person()
        first = (await here.session(person)).access
        await rotated(here)
        await service.rotate(here.ambient, OPERATOR)
        second = (await here.session(person)).access
        before = {kid for kid, _ in await keys(here)}
        with pytest.raises(Forbidden):
            await service.revoke_all(here.ambient, by(person))
        done = await service.revoke_all(here.ambient, OPERATOR)
        assert set(done.kids) == before
        assert len(before) == 3
        for house in (here, elsewhere):
            for access in (first, second):
                await eventually(lambda house=house, access=access: house.get("/me", token=access), 401)
            async with asyncio.timeout(20):
                while [key.kid for key in house.ambient.keys.published] != [done.successor]:  # noqa: ASYNC110 — as above
                    await asyncio.sleep(0.01)
        assert await here.is_let_in((await elsewhere.session(person)).access)


@pytest.mark.parametrize("verb", ["revoke", "revoke_all"])
async def test_a_revoked_key_is_dropped_even_if_the_keys_cannot_be_read_again(sqlite_url, monkeypatch, verb):
    async with nodes(sqlite_url) as [house]:
        access = (await house.session(await house.person())).access
        stolen = house.ambient.keys.current.kid

        async def away(_ambient):
            raise StoreUnavailable("away")

        monkeypatch.setattr(service, "tend", away)
        with pytest.raises(StoreUnavailable):
            await getattr(service, verb)(house.ambient, OPERATOR, *[stolen][: verb == "revoke"])
        assert stolen not in house.ambient.keys.published
        assert not await house.is_let_in(access)


async def test_a_revoked_key_stays_revoked_for_a_node_that_opens_later(sqlite_url):
    async with nodes(sqlite_url) as [house]:
        access = (await house.session(await house.person())).access
        stolen = house.ambient.keys.current.kid
        await service.revoke(house.ambient, OPERATOR, stolen)
        async with opened(ostiary(sqlite_url, house.clock, house.outbox), house.clock, house.outbox) as later:
            assert not await later.is_let_in(access)
            assert stolen not in later.ambient.keys.published


async def test_rows_read_before_the_revocation_do_not_restore_the_key(sqlite_url):
    async with nodes(sqlite_url) as [house]:
        late, kid = SlowNode(house), await one(house, State.CURRENT)
        await late.keys.refresh()
        late.keys.drop(kid)
        assert kid not in late.keys.published
        await late.keys.refresh()
        assert kid not in late.keys.published
        with pytest.raises(Unavailable):
            _ = late.keys.current


async def test_a_next_and_a_retired_key_can_be_revoked_and_the_current_one_stays(sqlite_url):
    async with nodes(sqlite_url) as [house]:
        first = await one(house, State.CURRENT)
        await rotated(house)
        second = await one(house, State.CURRENT)
        third = (await service.rotate(house.ambient, OPERATOR)).kid
        for kid in (first, third):
            assert (await service.revoke(house.ambient, OPERATOR, kid)).successor is None
        assert house.ambient.keys.current.kid == second
        assert [key.kid for key in house.ambient.keys.published] == [second]
        rows = {key.kid: key for key in await every(house.ambient.database)}
        assert (rows[first].sealed, rows[third].sealed) == (None, None)


@pytest.mark.parametrize("kid", ["", "unknown", "' or 1=1 --", "x" * 5000])
async def test_an_unknown_key_cannot_be_revoked(sqlite_url, kid):
    async with nodes(sqlite_url) as [house]:
        before = await keys(house)
        with pytest.raises(NotFound):
            await service.revoke(house.ambient, OPERATOR, kid)
        assert await keys(house) == before
        assert "keys.revoked" not in dict(await key_events(house))


async def test_a_key_can_be_revoked_only_once(sqlite_url):
    async with nodes(sqlite_url) as [house]:
        kid = await one(house, State.CURRENT)
        await service.revoke(house.ambient, OPERATOR, kid)
        with pytest.raises(NotFound):
            await service.revoke(house.ambient, OPERATOR, kid)


@pytest.mark.parametrize(
    "killed_at", ["set state = 'retired'", "set state = 'current'", "insert into audit", "feed_head"]
)
async def test_a_switch_that_is_killed_midway_is_rolled_back_and_done_by_the_next_node(own_url, killed_at, by_hand):
    async with nodes(own_url, count=2) as [killed, other]:
        first = await one(other, State.CURRENT)
        await pass_time(other, timing(other).lifetime - timing(other).notice)
        second = await one(other, State.NEXT)
        other.clock.advance(timing(other).notice / SECOND)

        def kill(sql):
            if killed_at in sql:
                raise ConnectionAbortedError

        dying = replace(killed.ambient, database=WatchedDatabase(killed.ambient.database, kill))
        with pytest.raises(ConnectionAbortedError):
            await tend(dying)
        assert dict(await keys(other)) == {second: State.NEXT, first: State.CURRENT}
        await tend(other.ambient)
        assert dict(await keys(other)) == {second: State.CURRENT, first: State.RETIRED}


async def test_a_crash_before_a_switch_is_confirmed_does_not_shorten_a_wait(own_url, by_hand):
    """The waiting time of a state starts when a node sees it committed."""
    async with nodes(own_url, count=1) as [house]:
        first = await one(house, State.CURRENT)
        await pass_time(house, timing(house).lifetime - timing(house).notice)
        house.clock.advance(timing(house).notice / SECOND)
        steps = plan(await every(house.ambient.database), house.clock.now(), timing(house))
        await advance(house.ambient, steps)
    clock, outbox = house.clock, house.outbox
    clock.advance(2 * 86400)  # no node was running to see it
    async with opened(ostiary(own_url, clock, outbox), clock, outbox) as later:
        (row,) = [key for key in await every(later.ambient.database) if key.kid == first]
        assert (row.state, row.since) == (State.RETIRED, clock.now())
        await pass_time(later, timing(later).retention - SECOND)
        assert first in later.ambient.keys.published
        await pass_time(later, SECOND)
        assert first not in later.ambient.keys.published


async def test_after_a_long_downtime_the_old_key_signs_until_the_new_one_is_published_long_enough(sqlite_url):
    async with nodes(sqlite_url) as [house]:
        first = await one(house, State.CURRENT)
    house.clock.advance(400 * 86400)
    clock, outbox = house.clock, house.outbox
    async with opened(ostiary(sqlite_url, clock, outbox), clock, outbox) as later:
        assert later.ambient.keys.current.kid == first
        following = await one(later, State.NEXT)
        await pass_time(later, timing(later).overlap)
        assert later.ambient.keys.current.kid == following


async def test_a_new_algorithm_takes_effect_with_the_next_key(sqlite_url):
    async with nodes(sqlite_url) as [house]:
        access = (await house.session(await house.person())).access
    clock, outbox = house.clock, house.outbox
    changed = ostiary(sqlite_url, clock, outbox, KeySettings(algorithm="Ed25519"))
    async with opened(changed, clock, outbox) as later:
        assert later.ambient.keys.current.alg == "ES256"
        await service.rotate(later.ambient, OPERATOR)
        await pass_time(later, timing(later).overlap)
        assert later.ambient.keys.current.alg == "Ed25519"
        assert await later.is_let_in(access)
        assert await later.is_let_in((await later.session(await later.person("eve@example.com"))).access)


async def test_another_master_secret_refuses_to_start(own_url):
    async with nodes(own_url) as [house]:
        pass
    other = ostiary(own_url, house.clock, house.outbox, secret=OTHER_SECRET)
    with pytest.raises(ConfigurationError, match="another secret"):
        await other.open()


async def test_a_node_without_the_newest_secret_keeps_working_while_its_key_is_accepted(sqlite_url, caplog):
    async with nodes(sqlite_url, secret=f"{OTHER_SECRET} {SECRET}") as [house]:
        # the first key is sealed with the newer one: the old node must have it in memory
        old = SlowNode(house)
        await old.keys.refresh()
        first = old.keys.current.kid
        access = (await house.session(await house.person())).access
        old.keys._vault = Vault([SECRET.encode()], random=house.ambient.random)
        await service.rotate(house.ambient, OPERATOR)
        await old.keys.refresh()
        await old.keys.refresh()
        assert [record.getMessage() for record in caplog.records].count("signing_keys.unreadable") == 1
        await pass_time(house, timing(house).overlap)
        await old.keys.refresh()
        assert old.keys.current.kid == first
        assert old.verifier.verify(access)
        house.clock.advance(timing(house).farewell / SECOND)
        await old.keys.refresh()
        assert old.verifier.verify(access)
        with pytest.raises(Unavailable):
            _ = old.keys.current


async def test_a_node_that_cannot_read_the_keys_does_not_change_them(sqlite_url, by_hand):
    async with nodes(sqlite_url, secret=f"{OTHER_SECRET} {SECRET}") as [house]:
        await service.rotate(house.ambient, OPERATOR)
        house.clock.advance(timing(house).overlap / SECOND)
        blind = replace(house.ambient, vault=Vault([SECRET.encode()], random=house.ambient.random))
        before = await keys(house)
        with pytest.raises(ConfigurationError):
            await advance(blind, [])
        assert await keys(house) == before


async def test_a_key_inserted_into_the_database_without_the_secret_is_not_trusted(sqlite_url):
    """Write access to the rows must not allow signing: neither with a retired key nor by replacing another key."""
    async with nodes(sqlite_url) as [house]:
        await rotated(house)
        (current, retired) = await every(house.ambient.database)
        forged = Vault([OTHER_SECRET.encode()], random=house.ambient.random)
        seals = {
            "with another secret": forged.seal(b"{}", purpose="retired-key", row="evil"),
            "moved from the current key": current.sealed,
            "moved from a retired key": retired.sealed,
            "not sealed": json.dumps(current.kid).encode(),
        }
        for sealed in seals.values():
            await house.ambient.database.execute(
                "insert into signing_keys (kid, alg, state, created_at, since, activate_at, sealed_jwk)"
                " values ('evil', 'ES256', 'retired', 1, 1, 1, $1)",
                sealed,
            )
            late = SlowNode(house)
            await late.keys.refresh()
            assert "evil" not in late.keys.published
            assert len(late.keys.published) == 2
            await house.ambient.database.execute("delete from signing_keys where kid = 'evil'")


@pytest.mark.parametrize("alg", ["ES256", "ES384", "Ed25519", "EdDSA", "RS256", "PS256"])
async def test_each_algorithm_signs_verifies_and_rotates(sqlite_url, alg):
    async with nodes(sqlite_url, KeySettings(algorithm=alg)) as [house]:
        access = (await house.session(await house.person())).access
        assert await house.is_let_in(access)
        (jwk,) = (await house.ask("GET", "/.well-known/jwks.json")).json()["keys"]
        assert (jwk["alg"], jwk["use"], jwk["kid"]) == (alg, "sig", house.ambient.keys.current.kid)
        assert {"d", "p", "q", "priv", "k"}.isdisjoint(jwk)
        await service.rotate(house.ambient, OPERATOR)
        await pass_time(house, timing(house).overlap)
        assert house.ambient.keys.current.alg == alg
        assert await house.is_let_in(access)


@pytest.mark.parametrize("alg", ["HS256", "none", "es256", "RS1", "", "ES256K"])
def test_only_supported_asymmetric_algorithms_are_accepted(sqlite_url, alg):
    with pytest.raises(ConfigurationError, match=r"keys\.algorithm must be"):
        ostiary(sqlite_url, None, None, KeySettings(algorithm=alg))


async def test_no_private_key_is_ever_exposed(sqlite_url, caplog):
    """It appears neither in logs, the JWKS, the rows, a repr nor an error."""
    caplog.set_level(0)
    async with nodes(sqlite_url) as [house]:
        held = [house.ambient.keys.current]
        upcoming = await service.rotate(house.ambient, OPERATOR)
        await pass_time(house, timing(house).overlap)
        held.append(house.ambient.keys.current)
        assert held[1].kid == upcoming.kid
        rows = await house.rows("select * from signing_keys")
        said = [repr(row) for row in await every(house.ambient.database)] + [repr(held), repr(house.ambient)]
        said.append((await house.ask("GET", "/.well-known/jwks.json")).text)
        await house.ambient.database.execute("update signing_keys set sealed_jwk = $1", b"\1" * 40)
        with pytest.raises(ConfigurationError) as refused:
            await service.open_keys(house.ambient)
        said += [repr(refused.value), str(refused.getrepr(showlocals=True)), written(caplog)]
        for key in held:
            secret = key.to_jwk()["d"]
            assert not any(secret in text for text in said)
            assert all(secret.encode() not in bytes(value) for row in rows for value in row if isinstance(value, bytes))
        await service.revoke(house.ambient, OPERATOR, held[1].kid)
