"""``auth.on``: listeners run after the commit, and a failing listener affects no caller."""

import asyncio
import logging
import sys

import pytest

from ostiary.api import Event
from ostiary.core import listeners as listeners_module
from ostiary.errors import ConfigurationError
from ostiary.settings import RegistrationSettings
from tests.core.installation import EMAIL, PASSWORD, installation, ostiary


class Heard:
    """A listener that records its events."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.arrived = asyncio.Event()

    async def __call__(self, event: Event) -> None:
        self.events.append(event)
        self.arrived.set()

    async def one(self) -> Event:
        async with asyncio.timeout(10):
            await self.arrived.wait()
        (event,) = self.events
        return event


def listener(heard):
    async def listen(event):
        await heard(event)

    return listen


async def test_a_listener_gets_a_typed_event_after_the_commit(database_url):
    async with installation(database_url) as house:
        heard, visible = Heard(), []

        @house.auth.on("accounts.registered")
        async def welcome(event: Event) -> None:
            visible.append(await house.auth.accounts.get(event.account_id))
            await heard(event)

        await house.register()
        event = await heard.one()
        assert visible[0].email == EMAIL, "the row is committed when the listener runs"
        assert (event.type, event.account_id, event.outcome) == ("accounts.registered", visible[0].id, "success")
        (recorded,) = (await house.auth.audit.events(type="accounts.registered")).items
        assert recorded == event


async def test_listeners_are_not_called_after_a_rollback(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.person()
        heard, failed = Heard(), Heard()
        house.auth.on("accounts.registered")(listener(heard))
        house.auth.on("sign_in.failed")(listener(failed))
        await house.register()  # the address is taken
        await house.login(password="a kettle that hums in winter")
        assert (await failed.one()).outcome == "refused", "a committed refusal calls its listeners"
        assert heard.events == []


async def test_a_failing_listener_is_logged_and_affects_no_caller(sqlite_url, caplog):
    async with installation(sqlite_url) as house:
        heard = Heard()

        @house.auth.on("sign_in.succeeded")
        async def broken(_event: Event) -> None:
            raise RuntimeError("hunter2")

        house.auth.on("sign_in.succeeded")(listener(heard))
        await house.person()
        with caplog.at_level(logging.ERROR, "ostiary.listeners"):
            assert (await house.login()).status_code == 200
            await heard.one()
        (line,) = [record for record in caplog.records if record.name == "ostiary.listeners"]
        assert (line.getMessage(), line.type) == ("listener.failed", "sign_in.succeeded")
        assert "broken" in line.listener
        assert "hunter2" not in line.error


async def test_no_caller_waits_for_a_listener(sqlite_url):
    async with installation(sqlite_url) as house:
        go_on = asyncio.Event()

        @house.auth.on("sign_in.succeeded")
        async def slow(_event: Event) -> None:
            await go_on.wait()

        await house.person()
        async with asyncio.timeout(30):
            assert (await house.login()).status_code == 200
        go_on.set()


async def test_with_a_mail_link_the_registered_event_follows_when_the_account_exists(sqlite_url):
    async with installation(sqlite_url, RegistrationSettings(require_verified_email=True)) as house:
        heard = Heard()
        house.auth.on("accounts.registered")(listener(heard))
        await house.register()
        link = (await house.mails())[-1].text.partition("#")[2].split()[0]
        assert heard.events == []
        await house.post("/email/verify", {"token": link, "password": PASSWORD})
        assert (await heard.one()).account_id is not None


def test_an_unknown_event_or_a_function_that_is_not_async_is_refused_at_import_time(sqlite_url):
    auth = ostiary(sqlite_url)
    with pytest.raises(ConfigurationError, match=r"did you mean accounts\.registered\?"):
        auth.on("account.registered")
    with pytest.raises(ConfigurationError, match="async"):

        @auth.on("accounts.registered")
        def plain(_event: Event) -> None: ...


async def test_a_listener_can_still_use_the_api_when_everything_closes_behind_it(sqlite_url):
    auth, found = ostiary(sqlite_url), []

    @auth.on("accounts.created")
    async def look(event: Event) -> None:
        await asyncio.sleep(0.05)
        found.append((await auth.accounts.get(event.account_id)).email)

    async with auth.opened():
        await auth.accounts.create(email=EMAIL, password=PASSWORD)
    assert found == [EMAIL]


async def test_a_listener_that_exits_does_not_end_the_process(sqlite_url, caplog):
    async with installation(sqlite_url) as house:
        heard = Heard()

        @house.auth.on("sign_in.succeeded")
        async def leave(_event: Event) -> None:
            sys.exit("goodbye")

        house.auth.on("sign_in.succeeded")(listener(heard))
        await house.person()
        assert (await house.login()).status_code == 200
        await heard.one()
        assert "listener.failed" in [record.getMessage() for record in caplog.records]


async def test_slow_listeners_do_not_fill_the_memory(monkeypatch, caplog):
    """Anybody can cause failed sign-ins, from as many sources as they have."""
    monkeypatch.setattr(listeners_module, "_MOST", 10)
    listeners, go_on, called = listeners_module.Listeners(), asyncio.Event(), []

    async def slow(event: int) -> None:
        called.append(event)
        await go_on.wait()

    listeners.add("sign_in.failed", slow)
    for number in range(50):
        listeners.tell("sign_in.failed", number)
    await asyncio.sleep(0)
    assert called == list(range(10))
    assert [record.getMessage() for record in caplog.records] == ["listener.dropped"], "one line, not forty"
    go_on.set()
    await listeners.close()
    listeners.tell("sign_in.failed", 50)
    await listeners.close()
    assert called[-1] == 50, "it goes on afterwards"


async def test_what_one_listener_changes_another_does_not_see(sqlite_url):
    async with installation(sqlite_url) as house:
        heard, errors = Heard(), []

        @house.auth.on("accounts.created")
        async def meddle(event: Event) -> None:
            for change in (lambda: event.detail["roles"].append("x"), lambda: event.detail.update(x=1)):
                try:
                    change()
                except AttributeError:
                    errors.append(1)

        house.auth.on("accounts.created")(listener(heard))
        await house.auth.accounts.create(email=EMAIL, password=PASSWORD)
        assert dict((await heard.one()).detail) == {"roles": ("user",)}
        assert len(errors) == 2


def test_listeners_of_a_loop_that_is_gone_do_not_delay_the_next_closing():
    """A loop that is closed without cancelling its tasks leaves them behind, and they never end."""
    listeners = listeners_module.Listeners()

    async def never(_event: int) -> None:
        await asyncio.Event().wait()

    async def tell() -> None:
        listeners.tell("sign_in.failed", 1)
        await asyncio.sleep(0)

    listeners.add("sign_in.failed", never)
    gone = asyncio.new_event_loop()
    gone.run_until_complete(tell())
    (left,) = listeners._tasks
    gone.close()

    async def close() -> float:
        began = asyncio.get_running_loop().time()
        await listeners.close()
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(close()) < listeners_module._PATIENCE / 2
    assert listeners._tasks == set()
    left._log_destroy_pending = False  # as intended: nobody can end it any more
