"""``auth.sessions``, ``devices``, ``roles``, ``clients``, ``keys`` and ``audit``."""

import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from ostiary.api import Page
from ostiary.errors import Forbidden, InvalidBody, NotFound
from tests.core.installation import by, installation, tokens_of


async def test_sessions_are_listed_newest_first_and_ended_one_by_one_or_all(database_url):
    async with installation(database_url) as house:
        ada = await house.person()
        first = await house.session(ada)
        house.clock.advance(60)
        second = await house.session(ada)
        listed = await house.auth.sessions.list(ada.id)
        assert [session.id for session in listed] == [second.session_id, first.session_id]
        assert listed[0].created_at - listed[1].created_at == timedelta(seconds=60)
        await house.auth.sessions.end(first.session_id)
        assert not await house.is_let_in(first.access)
        assert await house.is_let_in(second.access)
        (event,) = await house.events("sessions.ended")
        assert '"ended_by_admin"' in event["detail"]
        with pytest.raises(NotFound):
            await house.auth.sessions.end(first.session_id)
        assert await house.auth.sessions.end_all(ada.id) == 1
        assert not await house.is_let_in(second.access)


async def test_an_account_can_end_only_its_own_sessions(database_url):
    async with installation(database_url) as house:
        ada, grace = await house.person(), await house.person("grace@example.com")
        tokens = await house.session(ada)
        with pytest.raises(NotFound):
            await house.auth.acting_as(by(grace)).sessions.end(tokens.session_id)
        assert await house.is_let_in(tokens.access)
        await house.auth.acting_as(by(ada)).sessions.end(tokens.session_id)
        (event,) = await house.events("sessions.ended")
        assert '"ended_by_owner"' in event["detail"]
        with pytest.raises(Forbidden):
            await house.auth.acting_as(by(grace)).sessions.list(ada.id)


async def test_one_call_signs_everybody_out(database_url):
    async with installation(database_url) as house:
        people = [await house.session(await house.person(f"p{number}@example.com")) for number in range(3)]
        await house.auth.sessions.end_everybodys()
        assert [await house.is_let_in(tokens.access) for tokens in people] == [False] * 3


async def test_devices_are_listed_and_forgotten_with_their_sessions(database_url):
    async with installation(database_url) as house:
        ada, grace = await house.person(), await house.person("grace@example.com")
        tokens = tokens_of(await house.login(device_name="Ada's phone"))
        (device,) = await house.auth.devices.list(ada.id)
        assert device.name == "Ada's phone"
        assert device.first_seen_at == device.last_seen_at
        for nobody in ("dev_nobody", device.id):
            with pytest.raises(NotFound):
                await house.auth.acting_as(by(grace)).devices.forget(nobody)
        assert await house.is_let_in(tokens.access)
        await house.auth.devices.forget(device.id)
        assert not await house.is_let_in(tokens.access)
        assert await house.auth.devices.list(ada.id) == ()


async def test_roles_are_listed_with_their_permissions(database_url):
    async with installation(database_url) as house:
        roles = {role.name: role.permissions for role in await house.auth.roles.list()}
        assert roles.keys() == {"user", "moderator", "admin"}
        assert roles["user"] == ()
        assert "users:write" in roles["admin"]


async def test_a_client_is_created_rotated_and_deleted_and_no_repr_contains_its_secret(database_url):
    async with installation(database_url) as house:
        made = await house.auth.clients.create(name="orders", resources=["https://orders.example.com"])
        assert made.secret not in repr(made)
        (listed,) = await house.auth.clients.list()
        assert (listed.id, listed.name, listed.resources) == (made.id, "orders", ("https://orders.example.com",))
        again = await house.auth.clients.rotate(made.id)
        assert await house.ambient.clients.authenticate(made.id, made.secret) is None
        assert await house.ambient.clients.authenticate(made.id, again.secret) is not None
        await house.auth.clients.delete(made.id)
        assert await house.auth.clients.list() == ()
        with pytest.raises(NotFound):
            await house.auth.clients.rotate(made.id)


async def test_keys_are_listed_rotated_and_revoked(own_url):
    async with installation(own_url) as house:
        (current,) = [key for key in await house.auth.keys.list() if key.state == "current"]
        upcoming = await house.auth.keys.rotate()
        assert upcoming.kid != current.kid
        assert upcoming.signs_from.tzinfo is UTC
        assert {key["kid"] for key in house.auth.keys.jwks()["keys"]} == {current.kid, upcoming.kid}
        assert all("d" not in key for key in house.auth.keys.jwks()["keys"]), "public keys only"
        revoked = await house.auth.keys.revoke(current.kid)
        assert revoked.kids == (current.kid,)
        everything = await house.auth.keys.revoke_all()
        assert revoked.successor in everything.kids
        assert everything.successor is not None


async def test_audit_events_are_read_page_by_page_without_a_gap(database_url):
    async with installation(database_url) as house:
        ada = await house.person()
        for _ in range(5):
            await house.login(password="a kettle that hums in winter")
        await house.login()
        seen, after = [], None
        while True:
            page = await house.auth.audit.events(account=ada.id, after=after, limit=2)
            assert isinstance(page, Page)
            seen += page.items
            if page.next is None:
                break
            after = page.next
        assert sorted(event.id for event in seen) == sorted(event["id"] for event in await house.events())
        failed = (await house.auth.audit.events(type="sign_in.failed")).items
        assert [(event.type, event.account_id, event.outcome) for event in failed] == [
            ("sign_in.failed", ada.id, "refused")
        ] * 5
        house.clock.advance(60)
        later = datetime.fromtimestamp(house.clock.now() / 1_000_000, UTC)
        assert (await house.auth.audit.events(since=later)).items == ()
        for nonsense in ("x", "1.2", "99999999999999999999.evt_x", "-1.evt_x"):
            with pytest.raises(InvalidBody):
                await house.auth.audit.events(after=nonsense)


async def test_an_account_can_read_only_its_own_events(sqlite_url):
    async with installation(sqlite_url) as house:
        ada, grace = await house.person(), await house.person("grace@example.com")
        await house.login()
        own = (await house.auth.acting_as(by(ada)).audit.events(account=ada.id)).items
        assert {event.account_id for event in own} == {ada.id}
        for asked in (ada.id, None):
            with pytest.raises(Forbidden):
                await house.auth.acting_as(by(grace)).audit.events(account=asked)


@pytest.mark.parametrize("nonsense", ["", "x", "\x00", "acc_\x00", "\ud800", "é" * 1000, "'; drop table accounts"])
async def test_an_id_that_is_any_text_is_not_found(database_url, nonsense):
    """An application passes on ids from its URL paths. They must never cause a 500."""
    async with installation(database_url) as house:
        auth = house.auth
        for attempt in (
            auth.accounts.get(nonsense),
            auth.accounts.permissions(nonsense),
            auth.accounts.set_roles(nonsense, add={"moderator"}),
            auth.accounts.disable(nonsense),
            auth.accounts.enable(nonsense),
            auth.accounts.by_email(nonsense),
            auth.sessions.end(nonsense),
            auth.sessions.end_all(nonsense),
            auth.devices.forget(nonsense),
            auth.clients.rotate(nonsense),
            auth.clients.delete(nonsense),
            auth.keys.revoke(nonsense),
        ):
            with pytest.raises(NotFound):
                await attempt


async def test_a_time_without_a_time_zone_is_refused(sqlite_url):
    async with installation(sqlite_url) as house:
        with pytest.raises(ValueError, match="time zone"):
            await house.auth.audit.events(since=datetime(2027, 1, 1))  # noqa: DTZ001


async def test_a_page_continues_after_an_address_that_differs_from_its_key(database_url):
    async with installation(database_url) as house:
        for name in ("STRASSE@EXAMPLE.com", "strasze@bücher.example", "zebra@example.com"):
            await house.person(name)
        seen, after = [], None
        while True:
            page = await house.auth.accounts.list(after=after, limit=1)
            seen += [account.email for account in page.items]
            if (after := page.next) is None:
                break
        assert len(seen) == len(set(seen)) == 3


async def test_a_page_is_whole_although_an_account_comes_in_between(sqlite_url):
    """Roles were read for the first N accounts again, so an account that came in between left the last one without."""
    async with installation(sqlite_url) as house:
        people = [await house.person(f"{name}@example.com", "moderator") for name in "bd"]
        came = []

        def come(sql):
            if "from account_roles" in sql and not came:
                came.append(1)
                with contextlib.closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as other:
                    other.execute(
                        "insert into accounts (id, email, email_key, epoch, created_at)"
                        " values ('acc_c', 'c@example.com', 'c@example.com', 1, 1)"
                    )
                    other.commit()

        house.watch(come)
        listed = (await house.auth.accounts.list(limit=2)).items
        assert came
        assert [(account.id, account.roles) for account in listed] == [
            (person.id, ("moderator", "user")) for person in people
        ]
