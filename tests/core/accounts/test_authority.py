"""Who may change accounts, and that a change and its audit event are one transaction."""

import asyncio
from functools import partial

import pytest

from ostiary.core.accounts.service import set_roles
from ostiary.core.plug import Actor, Source
from ostiary.core.plug.actor import ActorKind
from ostiary.core.sessions.service import set_disabled, sign_out_everywhere
from ostiary.errors import Conflict, Forbidden, InvalidBody, NotFound, StoreUnavailable
from tests.core.installation import by, installation

ANONYMOUS = Actor(ActorKind.ANONYMOUS, "", Source("192.0.2.7"), "", "")
OPERATOR = Actor.operator("test")

VERBS = {
    "give a role": lambda ambient, actor, whom: set_roles(ambient, actor, whom, add={"moderator"}),
    "take a role": lambda ambient, actor, whom: set_roles(ambient, actor, whom, remove={"user"}),
    "change nothing": lambda ambient, actor, whom: set_roles(ambient, actor, whom),
    "disable": lambda ambient, actor, whom: set_disabled(ambient, actor, whom, disabled=True),
    "enable": lambda ambient, actor, whom: set_disabled(ambient, actor, whom, disabled=False),
    "sign out everywhere": sign_out_everywhere,
}


async def state(house):
    """Everything that an operation could have changed."""
    tables = ("accounts", "account_roles", "sessions", "audit_events", "feed", "feed_head")
    return [sorted(map(str, await house.rows(f"select * from {table}"))) for table in tables]


async def roles_of(house, person):
    return sorted(row[0] for row in await house.rows("select role from account_roles where account_id = $1", person.id))


async def own_role(house, permissions):
    """An additional role, as an installation may have it."""
    await house.ambient.database.execute("insert into roles (name, permissions) values ('helpdesk', $1)", permissions)


async def without_own_role(house):
    await house.ambient.database.execute("delete from account_roles where role = 'helpdesk'")
    await house.ambient.database.execute("delete from roles where name = 'helpdesk'")


async def test_every_account_may_sign_out_everywhere_unless_it_is_disabled_or_deleted(database_url):
    async with installation(database_url) as house:
        person, gone = await house.person(), await house.person("gone@example.com", "admin")
        tokens = await house.session(person)
        assert await sign_out_everywhere(house.ambient, by(person), person.id) == 1
        assert not await house.is_let_in(tokens.access)
        await set_disabled(house.ambient, OPERATOR, gone.id, disabled=False)
        await house.person("another@example.com", "admin")
        await set_disabled(house.ambient, OPERATOR, gone.id, disabled=True)
        unknown = Actor(ActorKind.ACCOUNT, "acc_unknown", Source(""), "", "")
        for actor in (by(gone), unknown, Actor(ActorKind.ANONYMOUS, person.id, Source(""), "", "")):
            with pytest.raises(Forbidden):
                await sign_out_everywhere(house.ambient, actor, actor.id)


@pytest.mark.parametrize("verb", VERBS)
async def test_who_may_do_what(database_url, verb):
    """K1: anonymous, a user, a moderator, another user and a deleted account may do nothing, and nothing changes."""
    do = VERBS[verb]
    async with installation(database_url) as house:
        people = {
            "user": await house.person("user@example.com"),
            "moderator": await house.person("moderator@example.com", "moderator"),
            "disabled admin": await house.person("gone@example.com", "admin"),
        }
        admin = await house.person("admin@example.com", "admin", "moderator")
        whom = await house.person("whom@example.com")
        await house.session(whom)
        await set_disabled(house.ambient, OPERATOR, people["disabled admin"].id, disabled=True)
        before = await state(house)
        refused = [ANONYMOUS, *map(by, people.values())]
        refused.append(Actor(ActorKind.ACCOUNT, "acc_unknown", Source(""), "", ""))
        refused.append(Actor(ActorKind.ANONYMOUS, admin.id, Source(""), "", ""))
        for actor in refused:
            with pytest.raises(Forbidden):
                await do(house.ambient, actor, whom.id)
            with pytest.raises(Forbidden):  # the error does not reveal which accounts exist
                await do(house.ambient, actor, "acc_unknown")
            if actor.id and verb != "sign out everywhere":
                with pytest.raises(Forbidden):
                    await do(house.ambient, actor, actor.id)
        assert await state(house) == before
        for actor in (by(admin), OPERATOR, Actor.system()):
            await do(house.ambient, actor, whom.id)
            with pytest.raises(NotFound):
                await do(house.ambient, actor, "acc_unknown")


async def test_an_account_cannot_grant_a_role_that_it_does_not_hold(database_url):
    """K2, S10: neither to itself nor to others. The permission to manage accounts does not include all roles."""
    async with installation(database_url) as house:
        await own_role(house, '["users:write"]')
        try:
            helper = await house.person("helper@example.com", "helpdesk")
            whom = await house.person("whom@example.com")
            for target in (helper, whom):
                for roles in ({"admin"}, {"moderator"}, {"admin", "helpdesk"}):
                    with pytest.raises(Forbidden):
                        await set_roles(house.ambient, by(helper), target.id, add=roles)
            assert await roles_of(house, whom) == ["user"]
            await set_roles(house.ambient, by(helper), whom.id, add={"helpdesk"})
            assert await roles_of(house, whom) == ["helpdesk", "user"]
            await set_roles(house.ambient, OPERATOR, whom.id, add={"admin"})
        finally:
            await without_own_role(house)


@pytest.mark.parametrize("roles", [{"superuser"}, {""}, {"Admin"}, {"admin "}, {"user", "nonsense"}, {"%"}])
async def test_only_existing_roles_can_be_granted_or_removed(sqlite_url, roles):
    """S10."""
    async with installation(sqlite_url) as house:
        admin, whom = await house.person("a@example.com", "admin"), await house.person("b@example.com")
        before = await state(house)
        for change in ({"add": roles}, {"remove": roles}):
            with pytest.raises(InvalidBody):
                await set_roles(house.ambient, by(admin), whom.id, **change)
        with pytest.raises(InvalidBody):
            await set_roles(house.ambient, by(admin), whom.id, add={"admin"}, remove={"admin"})
        assert await state(house) == before


LOSING = {
    "demoted": partial(set_roles, remove={"admin"}),
    "demoted and made something else": partial(set_roles, add={"moderator"}, remove={"admin"}),
    "disabled": partial(set_disabled, disabled=True),
}


@pytest.mark.parametrize("lose", LOSING.values(), ids=LOSING)
async def test_the_last_admin_cannot_be_removed(database_url, lose):
    """K2: not even by mistake of an operator. Disabled admins do not count."""
    async with installation(database_url) as house:
        last, disabled = await house.person("a@example.com", "admin"), await house.person("b@example.com", "admin")
        await set_disabled(house.ambient, OPERATOR, disabled.id, disabled=True)
        before = await state(house)
        for actor in (OPERATOR, by(last)):
            with pytest.raises((Conflict, Forbidden)):
                await lose(house.ambient, actor, last.id)
        assert await state(house) == before
        await set_disabled(house.ambient, OPERATOR, disabled.id, disabled=False)
        await lose(house.ambient, OPERATOR, last.id)


@pytest.mark.parametrize("lose", LOSING.values(), ids=LOSING)
async def test_two_admins_who_remove_each_other_concurrently_leave_one(database_url, lose):
    async with installation(database_url) as house:
        for number in range(4):
            pair = [await house.person(f"{name}{number}@example.com", "admin", "moderator") for name in "ab"]
            actors = [pair, pair[::-1]] if number % 2 else [(None, pair[0]), (None, pair[1])]
            done = await asyncio.gather(
                *(lose(house.ambient, by(actor) if actor else OPERATOR, whom.id) for actor, whom in actors),
                return_exceptions=True,
            )
            assert [type(each) for each in done if each is not None] in ([Conflict], [Forbidden])
            (left,) = await house.rows(
                "select a.id from accounts a join account_roles r on r.account_id = a.id"
                " where r.role = 'admin' and a.disabled_at is null"
            )
            await house.ambient.database.execute("delete from accounts where id = $1", left[0])


@pytest.mark.parametrize("verb", VERBS)
async def test_a_change_that_cannot_be_recorded_is_rolled_back(database_url, verb):
    """N5: the audit event and the change are one transaction, and so is the feed entry for other servers."""
    do = VERBS[verb]
    async with installation(database_url) as house:
        admin = await house.person("admin@example.com", "admin", "moderator")
        whom = await house.person("whom@example.com")
        tokens = await house.session(whom)
        before = await state(house)
        failing = ""

        def seen(sql):
            if failing and sql.startswith(failing):
                raise StoreUnavailable("disk full")

        house.watch(seen)
        for failing in ("insert into audit_events", "insert into feed"):  # noqa: B007 — `seen` reads it
            with pytest.raises(StoreUnavailable):
                await do(house.ambient, by(admin), whom.id)
            assert await state(house) == before
            assert await house.is_let_in(tokens.access)
        failing = ""
        await do(house.ambient, by(admin), whom.id)
        assert not await house.is_let_in(tokens.access)


EVENTS = {
    "give a role": ("accounts.roles_changed", '{"added":["moderator"],"removed":[]}'),
    "take a role": ("accounts.roles_changed", '{"added":[],"removed":["user"]}'),
    "disable": ("accounts.disabled", "{}"),
    "enable": ("accounts.enabled", "{}"),
    "sign out everywhere": ("sessions.ended_all", "{}"),
}


@pytest.mark.parametrize("verb", EVENTS)
async def test_every_change_records_actor_action_account_and_time(sqlite_url, verb):
    """N2."""
    async with installation(sqlite_url) as house:
        admin = await house.person("admin@example.com", "admin", "moderator")
        whom = await house.person("whom@example.com")
        house.clock.advance(5)
        await VERBS[verb](house.ambient, by(admin), whom.id)
        (event,) = await house.events()
        assert event.pop("id").startswith("evt_")
        assert event == {
            "at": house.clock.now(),
            "type": EVENTS[verb][0],
            "detail": EVENTS[verb][1],
            "outcome": "success",
            "account_id": whom.id,
            "session_id": None,
            "actor_kind": "account",
            "actor_id": admin.id,
            "source": "192.0.2.7",
            "user_agent": "a browser",
            "request_id": "request-1",
        }
