"""Service clients: authentication, permissions to manage them, and their resources."""

import asyncio
import hashlib

import pytest

from ostiary.core.clients import queries, service
from ostiary.core.clients.model import MOST_RESOURCES
from ostiary.core.clients.service import StoredClients
from ostiary.core.opaque import Purpose, new_token
from ostiary.core.plug import FIRST_PARTY, Actor, Client, Source
from ostiary.core.plug.actor import ActorKind
from ostiary.errors import Conflict, Forbidden, InvalidBody, NotFound
from tests.core.installation import ISSUER, by, installation
from tests.core.watching import WatchedDatabase

OPERATOR = Actor.operator("test")
ORDERS = "https://orders.example.com"


async def made(house, name="orders", *resources):
    return await service.create(house.ambient, OPERATOR, name=name, resources=resources or (ORDERS,))


async def state(house):
    return [
        sorted(map(str, await house.rows(f"select * from {table}")))
        for table in ("clients", "client_resources", "audit_events")
    ]


# --- authentication -----------------------------------------------------------------------------------------------


async def test_a_client_authenticates_with_its_secret(database_url):
    async with installation(database_url) as house:
        one, other = await made(house), await made(house, "billing", "https://billing.example.com", ORDERS)
        clients = house.ambient.clients
        assert await clients.authenticate(one.client.id, one.secret) == one.client
        assert one.client == Client(one.client.id, "orders", frozenset({ORDERS}))
        assert (await clients.authenticate(other.client.id, other.secret)).resources == {
            ORDERS, "https://billing.example.com",
        }  # fmt: skip


async def test_l9_every_other_secret_is_refused(database_url):
    async with installation(database_url) as house:
        one, other = await made(house), await made(house, "billing")
        stored = (await house.rows("select secret_hash from clients where id = $1", one.client.id))[0][0]
        refresh = new_token(Purpose.REFRESH, house.ambient.random).text
        never_given = new_token(Purpose.CLIENT, house.ambient.random).text
        wrong = [
            (one.client.id, other.secret),
            (one.client.id, one.secret[:-1]),
            (one.client.id, one.secret + " "),
            (one.client.id, one.secret.upper()),
            (one.client.id, refresh),
            (one.client.id, never_given),
            (one.client.id, stored.hex()),
            (one.client.id, ""),
            (one.client.name, one.secret),
            (one.client.id.upper(), one.secret),
            (one.client.id + "\0", one.secret),
            (one.client.id[:-1] + "a" if one.client.id[-1] != "a" else one.client.id[:-1] + "b", one.secret),
            (FIRST_PARTY, one.secret),
            ("", one.secret),
            ("%", one.secret),
            ("client_" + "a" * 100_000, one.secret),
        ]
        for client_id, secret in wrong:
            assert await house.ambient.clients.authenticate(client_id, secret) is None, (client_id[:40], secret)


async def test_o07_an_unknown_client_costs_the_same_as_a_known_one(sqlite_url):
    """Both cost one look-up. A malformed id or secret costs none."""
    async with installation(sqlite_url) as house:
        one = await made(house)
        never_given = new_token(Purpose.CLIENT, house.ambient.random).text
        seen = []
        clients = StoredClients(WatchedDatabase(house.ambient.database, seen.append))

        async def statements(client_id, secret):
            seen.clear()
            await clients.authenticate(client_id, secret)
            return list(seen)

        right = await statements(one.client.id, one.secret)
        assert len(right) == 1
        assert await statements(one.client.id, never_given) == right
        assert await statements("client_" + "a" * 26, never_given) == right
        assert await statements(one.client.id, "x") == await statements("client_x", never_given) == []


async def test_a_secret_is_stored_only_as_a_hash(sqlite_url):
    """With 256 random bits, neither guessing nor reversing the SHA-256 hash is possible."""
    async with installation(sqlite_url) as house:
        one = await made(house)
        assert one.secret.startswith("ostiary_client_")
        assert len(one.secret) == len("ostiary_client_") + 64 + 8
        rows = await house.rows("select secret_hash from clients")
        assert [bytes(row[0]) for row in rows] == [hashlib.sha256(one.secret.encode()).digest()]
        assert one.secret not in str(await state(house))
        assert one.secret.split("_")[2][:64] not in str(await state(house))


async def test_a_secret_that_was_replaced_is_refused_at_once(database_url):
    async with installation(database_url) as house:
        one = await made(house)
        secret = await service.rotate(house.ambient, OPERATOR, one.client.id)
        assert await house.ambient.clients.authenticate(one.client.id, one.secret) is None
        assert await house.ambient.clients.authenticate(one.client.id, secret) == one.client


async def test_a_deleted_client_and_its_resources_are_refused_at_once(database_url):
    async with installation(database_url) as house:
        one, other = await made(house, "orders", ORDERS, "https://stock.example.com"), await made(house, "billing")
        await service.delete(house.ambient, OPERATOR, one.client.id)
        assert await house.ambient.clients.authenticate(one.client.id, one.secret) is None
        assert await house.ambient.clients.have_resource(house.ambient.database, ORDERS), "another client has it too"
        assert not await house.ambient.clients.have_resource(house.ambient.database, "https://stock.example.com")
        await service.delete(house.ambient, OPERATOR, other.client.id)
        assert not await house.ambient.clients.have_resource(house.ambient.database, ORDERS)
        assert await house.rows("select * from client_resources") == []


# --- resources ----------------------------------------------------------------------------------------------------


async def test_the_resources_are_those_of_all_clients(database_url):
    async with installation(database_url) as house:
        await service.create(house.ambient, OPERATOR, name="nobody", resources=())
        assert not await house.ambient.clients.have_resource(house.ambient.database, ORDERS)
        await made(house, "orders", ORDERS, "http://127.0.0.1:9000/api")
        await made(house, "billing", ORDERS)
        for resource in (ORDERS, "http://127.0.0.1:9000/api"):
            assert await house.ambient.clients.have_resource(house.ambient.database, resource)
        for other in (ORDERS + "/", ORDERS.upper(), "https://orders.example", "", "%", ISSUER):
            assert not await house.ambient.clients.have_resource(house.ambient.database, other)


@pytest.mark.parametrize(
    "resource",
    ["https://a.example", "https://a.example/", "https://a.example:8443/api/v1", "http://127.0.0.1:1", "http://[::1]:1/a",
     "http://localhost/x", "https://auth.example.com/api", "https://auth.example.com:8443", "https://xn--bcher-kva.example"],
)  # fmt: skip
async def test_a_resource_is_a_url_of_a_service(sqlite_url, resource):
    async with installation(sqlite_url) as house:
        assert (await made(house, "one", resource)).client.resources == {resource}


@pytest.mark.parametrize(
    "resource",
    ["", "orders", "orders.example.com", "//orders.example.com", "http://orders.example.com", "ftp://a.example",
     "javascript:alert(1)", "data:,x", "urn:orders", "https://", "https:///x", "https://a.example#x", "https://a.example/#",
     "https://a.example?x=1", "https://a.example?", "https://me@a.example", "https://me:pw@a.example", "https://a.example:x",
     "https://a b.example", "https://a.example/\n", "https://a.example\\@b.example", "https://a.example/\0",
     "https://bücher.example", "https://a.example/" + "x" * 300],
)  # fmt: skip
async def test_a_resource_that_is_not_a_service_url_is_refused(sqlite_url, resource):
    async with installation(sqlite_url) as house:
        before = await state(house)
        with pytest.raises(InvalidBody):
            await made(house, "one", ORDERS, resource)
        assert await state(house) == before


@pytest.mark.parametrize(
    "resource",
    [ISSUER, f"{ISSUER}/", "https://AUTH.example.com", "https://auth.example.com:443", "HTTPS://auth.example.com",
     "https://auth.example.com///"],
)  # fmt: skip
async def test_the_issuer_cannot_be_a_resource(sqlite_url, resource):
    """Tokens for the issuer give access to /auth. A client with this resource could introspect all of them."""
    async with installation(sqlite_url) as house:
        with pytest.raises(InvalidBody, match="issuer"):
            await made(house, "one", resource)


async def test_an_issuer_with_a_path_cannot_be_a_resource_but_its_host_can_have_others(sqlite_url):
    async with installation(sqlite_url, issuer="https://example.com/auth") as house:
        for same in ("https://example.com/auth", "https://example.com/auth/", "https://example.com/%61uth"):
            with pytest.raises(InvalidBody, match="issuer"):
                await made(house, "one", same)
        assert (await made(house, "one", "https://example.com/orders")).client.resources


async def test_the_number_of_resources_per_client_is_limited(sqlite_url):
    async with installation(sqlite_url) as house:
        many = [f"https://s{number}.example" for number in range(MOST_RESOURCES + 1)]
        assert (await made(house, "one", *many[1:])).client.resources == set(many[1:])
        with pytest.raises(InvalidBody, match="at most"):
            await made(house, "two", *many)


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "a\x1b[31mb", "\u202eabc", " a", "client_abc"])
async def test_a_name_must_be_printable_and_must_not_look_like_an_id(sqlite_url, name):
    async with installation(sqlite_url) as house:
        before = await state(house)
        with pytest.raises(InvalidBody):
            await made(house, name)
        assert await state(house) == before


async def test_a_name_is_unique_even_for_concurrent_requests(database_url):
    async with installation(database_url) as house:
        asked = await asyncio.gather(*(made(house) for _ in range(20)), return_exceptions=True)
        assert sum(isinstance(answer, Conflict) for answer in asked) == 19
        (one,) = [answer for answer in asked if not isinstance(answer, BaseException)]
        assert [each.client for each in await queries.every(house.ambient.database)] == [one.client]
        assert len(await house.events("clients.created")) == 1
        assert await house.ambient.clients.authenticate(one.client.id, one.secret) == one.client


async def test_the_list_is_ordered_by_name_and_contains_no_secret(database_url):
    async with installation(database_url) as house:
        for name in ("orders", "billing", "audit"):
            await made(house, name)
        listed = await queries.every(house.ambient.database)
        assert [each.client.name for each in listed] == ["audit", "billing", "orders"]
        assert {each.created_at for each in listed} == {house.clock.now()}


# --- who may ------------------------------------------------------------------------------------------------------

VERBS = {
    "create": lambda ambient, actor, _: service.create(ambient, actor, name="new", resources=()),
    "rotate": service.rotate,
    "delete": service.delete,
}


@pytest.mark.parametrize("verb", VERBS)
async def test_k1_who_may_do_what(database_url, verb):
    """It requires ``clients:write``. A client can neither create others nor change itself, and nothing changes."""
    do = VERBS[verb]
    async with installation(database_url) as house:
        one = await made(house)
        refused = [
            Actor(ActorKind.ANONYMOUS, "", Source("192.0.2.7"), "", ""),
            Actor(ActorKind.CLIENT, one.client.id, Source("192.0.2.7"), "", ""),
            Actor(ActorKind.ACCOUNT, "acc_unknown", Source("192.0.2.7"), "", ""),
            by(await house.person("user@example.com")),
            by(await house.person("admin@example.com", "admin")),
        ]
        before = await state(house)
        for actor in refused:
            for client_id in (one.client.id, "client_unknown"):
                with pytest.raises(Forbidden):
                    await do(house.ambient, actor, client_id)
        assert await state(house) == before
        await do(house.ambient, OPERATOR, one.client.id)


async def test_an_account_with_the_permission_may_manage_clients(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.ambient.database.execute("insert into roles values ('integrator', '[\"clients:write\"]')")
        person = await house.person("admin@example.com", "integrator")
        one = await service.create(house.ambient, by(person), name="orders", resources=(ORDERS,))
        await service.rotate(house.ambient, by(person), one.client.id)
        await service.delete(house.ambient, by(person), one.client.id)
        assert [event["actor_id"] for event in await house.events()] == [person.id] * 3


@pytest.mark.parametrize("verb", ["rotate", "delete"])
async def test_an_unknown_client_cannot_be_changed(database_url, verb):
    async with installation(database_url) as house:
        with pytest.raises(NotFound):
            await VERBS[verb](house.ambient, OPERATOR, "client_unknown")
        assert await house.events() == []


async def test_every_change_of_a_client_is_recorded_without_its_secret(sqlite_url):
    async with installation(sqlite_url) as house:
        one = await made(house)
        secret = await service.rotate(house.ambient, OPERATOR, one.client.id)
        await service.delete(house.ambient, OPERATOR, one.client.id)
        events = await house.events()
        assert {event["type"] for event in events} == {"clients.created", "clients.rotated", "clients.deleted"}
        assert {event["actor_kind"] for event in events} == {"operator"}
        for event in events:
            assert one.client.id in event["detail"]
            assert not {one.secret, secret} & set(event["detail"].split('"'))
