"""``auth.accounts``: how an application manages accounts, on both database engines."""

import dataclasses
from dataclasses import dataclass

import pytest

from ostiary import Ostiary
from ostiary.api import Account, Actor
from ostiary.core.plug import ActorKind, Source
from ostiary.errors import (
    ConfigurationError,
    Conflict,
    Forbidden,
    InvalidBody,
    InvalidEmail,
    NotFound,
    PasswordRejected,
    TokenRevoked,
)
from ostiary.verifier import Principal
from tests.core.installation import EMAIL, PASSWORD, by, installation, tokens_of

OTHER = "grace@example.com"


@dataclass
class Notes:
    text: str = ""


async def test_an_application_creates_an_account_that_can_sign_in(database_url):
    async with installation(database_url) as house:
        made = await house.auth.accounts.create(email=EMAIL, password=PASSWORD, roles=["moderator"])
        assert (made.email, made.email_verified, made.disabled) == (EMAIL, True, False)
        assert made.roles == ("moderator", "user")
        assert made.created_at.utcoffset().total_seconds() == 0
        assert tokens_of(await house.login()).claims["sub"] == made.id
        (event,) = await house.events("accounts.created")
        assert (event["actor_kind"], event["actor_id"]) == ("application", "application")


async def test_an_account_is_found_by_id_and_by_case_insensitive_address(database_url):
    async with installation(database_url) as house:
        ada = await house.person()
        found = await house.auth.accounts.get(ada.id)
        assert found == await house.auth.accounts.by_email(EMAIL.upper())
        assert isinstance(found, Account)
        with pytest.raises(AttributeError):
            found.email = "x"
        for nobody in ("acc_nobody", ""):
            with pytest.raises(NotFound):
                await house.auth.accounts.get(nobody)
        for nobody in (OTHER, "no address"):
            with pytest.raises(NotFound):
                await house.auth.accounts.by_email(nobody)


async def test_accounts_are_listed_page_by_page_with_their_roles(database_url):
    async with installation(database_url) as house:
        people = [await house.person(f"person{number:02}@example.com", "moderator") for number in range(7)]
        seen, after = [], None
        while True:
            page = await house.auth.accounts.list(after=after, limit=3)
            assert len(page.items) <= 3
            seen += page.items
            after = page.next
            if after is None:
                break
        assert [account.id for account in seen] == [person.id for person in people]
        assert {account.roles for account in seen} == {("moderator", "user")}
        for limit in (0, 1001):
            with pytest.raises(ValueError, match="limit"):
                await house.auth.accounts.list(limit=limit)


async def test_changes_of_roles_and_state_take_effect_at_once_and_raise_the_version(database_url):
    async with installation(database_url) as house:
        await house.person("root@example.com", "admin")
        ada = await house.person()
        tokens = await house.session(ada)
        given = await house.auth.accounts.set_roles(ada.id, add={"moderator"})
        assert (given.roles, given.version) == (("moderator", "user"), 2)
        assert not await house.is_let_in(tokens.access)
        assert await house.auth.accounts.permissions(ada.id) == ("users:read",)
        disabled = await house.auth.accounts.disable(ada.id)
        assert (disabled.disabled, disabled.version) == (True, 3)
        assert (await house.auth.accounts.enable(ada.id)).disabled is False
        with pytest.raises(InvalidBody):
            await house.auth.accounts.set_roles(ada.id, add={"emperor"})
        with pytest.raises(Conflict):
            await house.auth.accounts.disable((await house.auth.accounts.by_email("root@example.com")).id)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"email": "no address"}, InvalidEmail),
        ({"password": "short"}, PasswordRejected),
        ({"roles": ["emperor"]}, InvalidBody),
        ({"email": EMAIL}, Conflict),
        ({"profile": object()}, InvalidBody),
    ],
)
async def test_an_account_that_cannot_be_created_leaves_nothing_behind(sqlite_url, given, error):
    async with installation(sqlite_url) as house:
        await house.person()
        with pytest.raises(error):
            await house.auth.accounts.create(**{"email": OTHER, "password": PASSWORD, **given})
        assert len(await house.rows("select id from accounts")) == 1
        assert await house.events("accounts.created") == []


async def test_acting_as_a_user_grants_only_that_users_permissions(database_url):
    async with installation(database_url) as house:
        moderator, ada = await house.person("mo@example.com", "moderator"), await house.person()
        api = house.auth.acting_as(by(moderator))
        assert (await api.accounts.get(ada.id)).email == EMAIL
        assert (await api.accounts.list()).next is None
        for attempt in (
            api.accounts.create(email=OTHER, password=PASSWORD),
            api.accounts.set_roles(ada.id, add={"moderator"}),
            api.accounts.disable(ada.id),
            api.sessions.end_all(ada.id),
            api.clients.create(name="orders"),
            api.keys.rotate(),
            api.keys.list(),
            api.audit.events(),
        ):
            with pytest.raises(Forbidden):
                await attempt
        own = house.auth.acting_as(by(ada))
        assert (await own.accounts.get(ada.id)).id == ada.id
        for attempt in (own.accounts.get(moderator.id), own.accounts.list(), own.accounts.by_email(EMAIL)):
            with pytest.raises(Forbidden):
                await attempt


async def test_an_admin_acts_with_a_token_and_its_scope_is_an_upper_bound(sqlite_url):
    async with installation(sqlite_url) as house:
        admin, ada = await house.person("root@example.com", "admin"), await house.person()
        headers = [(b"authorization", f"Bearer {(await house.session(admin)).access}".encode())]
        principal = house.auth.authenticate(headers, method="GET")
        assert isinstance(principal, Principal)
        await house.auth.acting_as(principal).accounts.disable(ada.id)
        (event,) = await house.events("accounts.disabled")
        assert (event["actor_kind"], event["actor_id"]) == ("account", admin.id)

        def scoped(*scope):
            actor = Actor.of(principal, source=Source("192.0.2.1"))
            return house.auth.acting_as(Actor(actor.kind, actor.id, actor.source, "", "", scope=frozenset(scope)))

        with pytest.raises(Forbidden):
            await scoped("users:read").accounts.enable(ada.id)
        assert (await scoped("users:read").accounts.get(ada.id)).disabled
        assert not (await scoped("users:read", "users:write").accounts.enable(ada.id)).disabled


async def test_a_service_client_has_no_permission_to_grant_roles(sqlite_url):
    """Clients are checked like accounts. Otherwise every actor that is not an account could grant every role."""
    async with installation(sqlite_url) as house:
        ada = await house.person()
        actor = Actor(ActorKind.CLIENT, "client_x", Source("192.0.2.1"), "", "")
        with pytest.raises(Forbidden):
            await house.auth.acting_as(actor).accounts.set_roles(ada.id, add={"admin"})


async def test_an_account_manager_cannot_grant_a_role_above_their_own(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.ambient.database.execute("insert into roles values ('helper', '[\"users:read\",\"users:write\"]')")
        helper = await house.person("helper@example.com", "helper")
        api = house.auth.acting_as(by(helper))
        with pytest.raises(Forbidden):
            await api.accounts.create(email=OTHER, password=PASSWORD, roles=["admin"])
        with pytest.raises(Forbidden):
            await api.accounts.set_roles(helper.id, add={"admin"})
        assert (await api.accounts.create(email=OTHER, password=PASSWORD, roles=["helper"])).roles == ("helper", "user")


async def test_a_narrow_scope_is_no_way_to_a_role_with_more(database_url):
    """An admin's token for managing accounts must not make a second admin, who then has no such bound."""
    async with installation(database_url) as house:
        admin, mule = await house.person("root@example.com", "admin"), await house.person()
        acting = by(admin)
        scope = frozenset({"users:read", "users:write"})
        api = house.auth.acting_as(dataclasses.replace(acting, scope=scope))
        for attempt in (
            api.accounts.set_roles(mule.id, add={"admin"}),
            api.accounts.create(email=OTHER, password=PASSWORD, roles=["admin"]),
        ):
            with pytest.raises(Forbidden):
                await attempt
        with pytest.raises(Forbidden):
            await api.accounts.disable(admin.id)
        assert (await house.auth.accounts.get(mule.id)).roles == ("user",)
        assert "admin" in (await house.auth.acting_as(acting).accounts.set_roles(mule.id, add={"admin"})).roles


async def test_a_helper_cannot_touch_an_account_that_holds_more(database_url):
    async with installation(database_url, profile=Notes) as house:
        await house.ambient.database.execute("insert into roles values ('helper', '[\"users:read\",\"users:write\"]')")
        try:
            helper, ada = await house.person("helper@example.com", "helper"), await house.person()
            admin = await house.person("root@example.com", "admin")
            await house.person("second@example.com", "admin")
            api = house.auth.acting_as(by(helper))
            for attempt in (
                api.accounts.disable(admin.id),
                api.accounts.enable(admin.id),
                api.accounts.set_roles(admin.id, remove={"admin"}),
                api.accounts.update(admin.id, profile=Notes("x")),
            ):
                with pytest.raises(Forbidden):
                    await attempt
            unchanged = await house.auth.accounts.get(admin.id)
            assert (unchanged.roles, unchanged.disabled, unchanged.version) == (("admin", "user"), False, 1)
            assert (await api.accounts.disable(ada.id)).disabled
        finally:
            await house.ambient.database.execute("delete from account_roles where role = 'helper'")
            await house.ambient.database.execute("delete from roles where name = 'helper'")


async def test_a_principal_that_was_kept_is_worth_nothing_after_its_sessions_were_ended(database_url):
    async with installation(database_url) as house:
        admin, ada = await house.person("root@example.com", "admin"), await house.person()
        headers = [(b"authorization", f"Bearer {(await house.session(admin)).access}".encode())]
        kept = house.auth.authenticate(headers, method="GET")
        api = house.auth.acting_as(kept)
        assert (await api.accounts.get(ada.id)).email == EMAIL
        await house.auth.sessions.end_all(admin.id)
        for attempt in (api.accounts.get(ada.id), api.accounts.disable(ada.id), api.sessions.list(admin.id)):
            with pytest.raises(TokenRevoked):
                await attempt


@pytest.mark.parametrize(
    ("given", "error"),
    [({"password": "\ud800 and seven purple umbrellas"}, PasswordRejected), ({"roles": ["\ud800"]}, InvalidBody)],
)
async def test_text_that_is_no_unicode_is_refused_by_name(sqlite_url, given, error):
    async with installation(sqlite_url) as house:
        with pytest.raises(error):
            await house.auth.accounts.create(**{"email": OTHER, "password": PASSWORD, **given})


@pytest.mark.parametrize("name", ["", "\x00", "a\nb"])
def test_an_application_has_a_name_that_can_be_recorded(sqlite_url, name):
    with pytest.raises(ConfigurationError, match="name must be"):
        Ostiary(sqlite_url, name=name, environ={}, config=None)
