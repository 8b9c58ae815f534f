"""Audit events: what each request records, and what is never recorded."""

import json
import logging

import pytest

from ostiary.core.plug import Actor
from ostiary.core.sessions.service import sign_out_everywhere
from ostiary.errors import StoreUnavailable
from ostiary.settings import RegistrationSettings
from tests.core.installation import EMAIL, PASSWORD, installation, tokens_of
from tests.logged import written

WRONG = "a kettle that hums in winter"
FROM = {"source": "203.0.113.9", "headers": {"user-agent": "Firefox/144"}}


async def the_one(house, type_):
    (event,) = await house.events(type_)
    return event


@pytest.mark.parametrize(
    ("email", "known"),
    [(EMAIL, True), ("nobody@example.com", False), ("no address", False), ("bob@example.com", True)],
)
async def test_a_failed_sign_in_is_recorded_with_its_source(database_url, email, known):
    """N1, N2: the event is committed although the response is an error."""
    async with installation(database_url) as house:
        people = {each.email: each.id for each in (await house.person(), await house.person("bob@example.com"))}
        answer = await house.login(email, WRONG, **FROM)
        event = await the_one(house, "sign_in.failed")
        assert event["request_id"] == answer.headers["x-request-id"]
        assert (event["outcome"], event["source"], event["user_agent"]) == ("refused", "203.0.113.9", "Firefox/144")
        assert (event["actor_kind"], event["actor_id"]) == ("anonymous", "")
        assert event["account_id"] == (people[email] if known else None)
        assert event["at"] == house.clock.now()
        assert json.loads(event["detail"]) == {"factor": "password"}
        assert email not in str(event), "the text in the e-mail field may be a password"


async def test_a_sign_in_is_recorded_with_its_session(database_url):
    async with installation(database_url) as house:
        person = await house.person()
        answer = await house.login(**FROM)
        event = await the_one(house, "sign_in.succeeded")
        assert (event["account_id"], event["session_id"]) == (person.id, tokens_of(answer).session_id)
        assert event["request_id"] == answer.headers["x-request-id"]
        assert (event["outcome"], event["source"]) == ("success", "203.0.113.9")
        assert json.loads(event["detail"]) == {"amr": ["pwd"]}


async def test_no_event_or_log_line_contains_anything_that_gives_access(sqlite_url, caplog):
    """N3, P05: passwords, tokens, hashes, addresses from requests."""
    caplog.set_level(logging.DEBUG)
    async with installation(sqlite_url, RegistrationSettings(require_verified_email=True)) as house:
        person = await house.person()
        tokens = tokens_of(await house.login())
        renewed = tokens_of(await house.refresh(tokens.refresh))
        await house.login(password=WRONG)
        await house.login("typed-by-mistake@example.com", PASSWORD)
        await house.register("new@example.com", WRONG)
        link = (await house.mails())[-1].text.partition("#")[2].split()[0]
        await house.post("/email/verify", {"token": link})
        await house.post("/email/verify", {"token": link})
        await house.refresh(tokens.refresh)
        await house.get("/me", token=renewed.access + "x")
        await house.get("/me", token=renewed.access, headers={"cookie": f"__Host-ostiary_access={tokens.access}"})
        await house.post("/logout", {"refresh_token": renewed.refresh}, token=renewed.access)
        await sign_out_everywhere(house.ambient, Actor.operator("test"), person.id)
        told = json.dumps(await house.events()) + written(caplog)
    assert len(caplog.records) > 4
    for secret in (PASSWORD, WRONG, *tokens[:2], *renewed[:2], link, "$argon2", "typed-by-mistake"):
        assert secret not in told
        assert secret[-40:] not in told


async def test_a_sign_in_that_cannot_be_recorded_is_rolled_back(database_url):
    """N5: a full disk must not allow unrecorded sign-ins."""
    async with installation(database_url) as house:
        await house.person()

        def seen(sql):
            if sql.startswith("insert into audit_events"):
                raise StoreUnavailable("disk full")

        house.watch(seen)
        for password in (PASSWORD, WRONG):
            assert (await house.login(password=password)).status_code == 503
        assert (await house.register("new@example.com")).status_code == 503
        assert await house.rows("select * from sessions") == []
        assert await house.rows("select * from accounts where email = 'new@example.com'") == []


async def test_text_from_a_caller_cannot_forge_an_entry(sqlite_url, caplog):
    """N4, P04: line breaks, quotes and control characters from callers are neutralised."""
    caplog.set_level(logging.INFO)
    evil = 'x"}\r\n{"type":"sign_in.succeeded"}\x1b[2K\u2028'
    async with installation(sqlite_url) as house:
        await house.person()
        headers = {"user-agent": evil.encode("latin-1", "replace"), "x-request-id": "forged-request-id"}
        answer = await house.login(password=WRONG, headers=headers)
        event = await the_one(house, "sign_in.failed")
        assert event["user_agent"].isprintable()
        assert event["request_id"] == answer.headers["x-request-id"] != "forged-request-id"
        assert json.loads(event["detail"]) == {"factor": "password"}
        assert await house.events("sign_in.succeeded") == []
    assert all(line.isprintable() for line in written(caplog).splitlines())


async def test_the_user_agent_is_truncated(sqlite_url):
    """N6."""
    async with installation(sqlite_url) as house:
        await house.login(headers={"user-agent": "x" * 10_000})
        assert len((await the_one(house, "sign_in.failed"))["user_agent"]) == 256


async def test_registering_and_verifying_are_recorded(database_url):
    async with installation(database_url, RegistrationSettings(require_verified_email=True)) as house:
        started = await house.register(**FROM)
        event = await the_one(house, "accounts.registration_started")
        assert (event["source"], event["account_id"]) == ("203.0.113.9", None)
        assert event["request_id"] == started.headers["x-request-id"]
        link = (await house.mails())[-1].text.partition("#")[2].split()[0]
        assert await house.events("accounts.registered") == []
        await house.post("/email/verify", {"token": link})
        created = await the_one(house, "accounts.registered")
        assert created["account_id"] == (await house.rows("select id from accounts"))[0][0]
        assert json.loads(created["detail"]) == {"roles": ["user"]}
