"""POST /auth/register: it does not reveal who has an account, and creates exactly one."""

import asyncio
import json
import unicodedata

import httpx
import pytest

from ostiary.core.accounts import registration
from ostiary.core.plug import Actor
from ostiary.errors import Conflict, InvalidEmail
from ostiary.settings import HashingSettings, RegistrationSettings
from tests.core.installation import EMAIL, PASSWORD, installation, told

OTHER_PASSWORD = "a kettle that hums in winter"


async def counted(house, table="accounts"):
    return (await house.rows(f"select count(*) from {table}"))[0][0]


@pytest.mark.parametrize("verified", [True, False], ids=["verified addresses", "at once"])
async def test_new_pending_and_taken_addresses_get_the_same_response(database_url, verified):
    """L01: the same status, body and headers, with the account's password or another one."""
    async with installation(database_url, RegistrationSettings(require_verified_email=verified)) as house:
        await house.person("taken@example.com")
        answers = [
            await house.register("new@example.com"),
            await house.register("new@example.com"),
            await house.register("taken@example.com", OTHER_PASSWORD),
            await house.register("taken@example.com", PASSWORD),
            await house.register("TAKEN@example.com", OTHER_PASSWORD),
        ]
        assert answers[0].status_code == 202
        assert len({str(told(answer)) for answer in answers}) == 1


async def test_with_verification_every_registration_costs_the_same_statements_and_hashes(sqlite_url):
    """L02: the work is counted, because equal work takes equal time. bench/enumeration.py measures the time."""
    async with installation(sqlite_url, RegistrationSettings(require_verified_email=True)) as house:
        await house.person("taken@example.com")
        await house.register("pending@example.com")
        statements = []
        house.watch(statements.append)
        seen = []
        for email in ("new@example.com", "taken@example.com", "pending@example.com"):
            statements.clear()
            await house.register(email)
            seen.append(list(statements))
        assert seen[0] == seen[1] == seen[2]
        assert len(seen[0]) > 4


async def test_a_registered_user_gets_a_mail_at_the_stored_address(sqlite_url):
    """GHSA-7rqj-j65f-68wh: never at the address in the request. The account does not change."""
    async with installation(sqlite_url, RegistrationSettings(require_verified_email=True)) as house:
        await house.person("Ada@example.com")
        before = await house.rows("select * from accounts")
        await house.register("ADA@EXAMPLE.com", OTHER_PASSWORD)
        (mail,) = await house.mails()
        assert mail.to == "Ada@example.com"
        assert "already" in mail.subject
        assert "#" not in mail.text, "a link would admit the sender of the request"
        assert await house.rows("select * from accounts") == before


async def test_without_verification_the_account_can_sign_in_at_once_and_is_unverified(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.register("Ada@Example.com")
        answer = await house.login("ada@example.COM")
        me = (await house.get("/me", token=answer.json()["access_token"])).json()
        assert me["account"]["email"] == "Ada@example.com"
        assert me["account"]["email_verified"] is False
        assert me["roles"] == ["user"]
        assert me["permissions"] == []
        (mail,) = await house.mails()
        assert "New device" in mail.subject, "this is the mail of the sign-in; registration sends none"


async def test_a_second_registration_does_not_change_the_password(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.register()
        await house.register(password=OTHER_PASSWORD)
        assert (await house.login(password=OTHER_PASSWORD)).status_code == 401
        assert (await house.login()).status_code == 200


async def test_twenty_concurrent_registrations_create_one_account(database_url):
    """L20."""
    async with installation(database_url, HashingSettings(queue=1000)) as house:
        answers = await asyncio.gather(*(house.register() for _ in range(20)))
        assert {answer.status_code for answer in answers} == {202}
        assert await counted(house) == 1
        assert len(await house.events("accounts.registered")) == 1
        assert (await house.login()).status_code == 200


FORBIDDEN = {
    "role": "admin",
    "roles": ["admin"],
    "is_admin": True,
    "is_superuser": True,
    "permissions": ["users:write"],
    "scope": "*",
    "id": "acc_1",
    "account_id": "acc_1",
    "tenant": "other",
    "email_verified": True,
    "emailVerified": True,
    "verified_at": 1,
    "password_hash": "$argon2id$",
    "epoch": 1,
    "disabled_at": None,
    "created_at": 0,
    "mfa_enabled": False,
    "username": "admin",
    "Role": "admin",
    "__proto__": {"role": "admin"},
    "account": {"roles": ["admin"]},
    "transport": "token",
}


async def test_fields_that_callers_must_not_set_are_refused_and_nothing_is_written(sqlite_url):
    """F1, L13."""
    async with installation(sqlite_url) as house:
        for name, value in FORBIDDEN.items():
            answer = await house.post("/register", {"email": EMAIL, "password": PASSWORD, name: value})
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body"), name
        assert await counted(house) == 0
        assert await counted(house, "registrations") == 0
        assert await house.events() == []


BAD_TYPES = [None, 5, True, 1.5, [], ["user@example.com"], {}, {"$gt": ""}, {"email": EMAIL}, [[["x"]]]]


@pytest.mark.parametrize("path", ["/register", "/login"])
async def test_values_of_other_types_are_refused(sqlite_url, path):
    """L19, L03: no coercion, no operator objects, no one-element lists, never a 500."""
    async with installation(sqlite_url, RegistrationSettings(limit="1000/second")) as house:
        for value in BAD_TYPES:
            for body in ({"email": value, "password": PASSWORD}, {"email": EMAIL, "password": value}):
                answer = await house.post(path, body)
                assert answer.status_code == 422, body
                assert answer.json()["code"] == "invalid_body"
        for body in (value for value in BAD_TYPES if not isinstance(value, dict)):
            assert (await house.post(path, body)).status_code in {415, 422}, body
        for body in ({}, {"email": EMAIL}, {"password": PASSWORD}):
            assert (await house.post(path, body)).status_code == 422


@pytest.mark.parametrize("path", ["/register", "/login"])
async def test_a_duplicate_field_is_refused(sqlite_url, path):
    """L03: two parsers could read two addresses."""
    async with installation(sqlite_url) as house:
        for body in (
            '{"email":"a@example.com","password":"x","email":"b@example.com"}',
            '{"email":"a@example.com","password":"x","\\u0065mail":"b@example.com"}',
        ):
            answer = await raw(house, f"/auth{path}", body)
            assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


async def raw(house, path, content, content_type="application/json"):
    transport = httpx.ASGITransport(house.app)
    async with httpx.AsyncClient(transport=transport, base_url="https://auth.example.com", trust_env=False) as http:
        return await http.post(path, content=content, headers={"content-type": content_type})


async def test_only_json_is_read(sqlite_url):
    """J3, L16: any page can send a form or text/plain without a preflight request."""
    async with installation(sqlite_url) as house:
        body = json.dumps({"email": EMAIL, "password": PASSWORD})
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
            assert (await raw(house, "/auth/register", body, content_type)).status_code == 415
        assert await counted(house) == 0


async def test_invalid_addresses_and_passwords_get_the_same_errors_with_or_without_an_account(sqlite_url):
    async with installation(sqlite_url, RegistrationSettings(require_verified_email=True)) as house:
        await house.person()
        for email in (EMAIL, "new@example.com"):
            answer = await house.register(email, "short")
            assert answer.status_code == 422
            assert answer.json()["code"] == "password_rejected"
            assert answer.json()["reasons"] == ["Use at least 8 characters."]
        answer = await house.register("nonsense", PASSWORD)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_email")
        assert "nonsense" not in answer.text
        assert await counted(house, "registrations") == 0


@pytest.mark.parametrize("first", ["NFC", "NFD"])
async def test_accents_may_be_composed_or_decomposed_at_registration_and_sign_in(sqlite_url, first):
    """D4: the same password on a Mac and a phone."""
    second = {"NFC": "NFD", "NFD": "NFC"}[first]
    password = "é à ü ñ naïve café"
    assert unicodedata.normalize(first, password) != unicodedata.normalize(second, password)
    async with installation(sqlite_url) as house:
        await house.register(password=unicodedata.normalize(first, password))
        assert (await house.login(password=unicodedata.normalize(second, password))).status_code == 200
        assert (await house.login(password=unicodedata.normalize("NFKC", password) + " ")).status_code == 401


@pytest.mark.parametrize(
    "password", [" wobbly lantern ", "Wobbly Lantern", "wobbly\tlantern", "🦊🚪🔑🎩🧭🪁🛶🥁", "x" + "y9!Q" * 63]
)
async def test_a_password_is_used_exactly_as_it_was_sent(sqlite_url, password):
    async with installation(sqlite_url) as house:
        assert (await house.register(password=password)).status_code == 202
        assert (await house.login(password=password)).status_code == 200
        others = {password.strip(), password.lower(), password[:-1], password + "x", password.replace("\t", " ")}
        for other in others - {password}:
            assert (await house.login(password=other)).status_code == 401


async def test_registrations_are_limited_by_source(sqlite_url):
    async with installation(sqlite_url, RegistrationSettings(limit="3/minute")) as house:
        answers = [await house.post("/register", {}, source="192.0.2.1") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [422, 422, 422, 429, 429]
        wait = int(answers[-1].headers["retry-after"])
        house.clock.advance(wait - 1)
        assert (await house.post("/register", {}, source="192.0.2.1")).status_code == 429
        house.clock.advance(1)
        assert (await house.post("/register", {}, source="192.0.2.1")).status_code == 422
        assert (await house.post("/register", {}, source="192.0.2.2")).status_code == 422


async def test_one_source_cannot_register_strangers_all_day(sqlite_url):
    """At ten a minute, one source could cause 14,400 rows and mails to as many people a day."""
    async with installation(sqlite_url, RegistrationSettings(daily_limit="3/day", limit="1000/second")) as house:
        source = "192.0.2.1"
        answers = [await house.register(f"a{n}@example.com", source=source) for n in range(5)]
        assert [answer.status_code for answer in answers] == [202, 202, 202, 429, 429]
        assert answers[3].json()["code"] == "rate_limited"
        assert await counted(house) == 3
        assert (await house.register("b@example.com", source="192.0.2.2")).status_code == 202
        house.clock.advance(int(answers[-1].headers["retry-after"]))
        assert (await house.register("c@example.com", source=source)).status_code == 202


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "new"])
async def test_mails_to_one_inbox_are_limited_silently(sqlite_url, taken):
    """R10: per mailbox, for any tag or letter case. The responses stay the same."""
    spellings = ["ada@example.com", "ADA@example.com", "ada@EXAMPLE.com", "Ada@example.com", "ada@example.com"]
    tagged = [] if taken else ["ada+1@example.com", "ada+2@example.com"]
    async with installation(sqlite_url, RegistrationSettings(require_verified_email=True)) as house:
        if taken:
            await house.person()
        answers = [await house.register(email) for email in 2 * (spellings + tagged)]
        assert len({str(told(answer)) for answer in answers}) == 1
        assert len(await house.mails()) == 6
        await house.register("somebody-else@example.com")
        assert len(await house.mails()) == 7
        house.clock.advance(3600)
        await house.register()
        assert len(await house.mails()) == 8


async def test_l14_one_source_cannot_use_up_the_mail_limit_of_an_address(sqlite_url):
    """Otherwise the owner's own registration mail would not arrive, but only the links of the attacker."""
    async with installation(sqlite_url, RegistrationSettings(require_verified_email=True)) as house:
        for _ in range(9):
            await house.register(source="198.51.100.1")
        assert len(await house.mails()) == 2
        await house.register(source="203.0.113.7")
        assert len(await house.mails()) == 3


async def test_an_operator_creates_an_account_with_roles_at_once(database_url):
    async with installation(database_url) as house:
        made = await registration.create(
            house.ambient, Actor.operator("root"), email=EMAIL, password=PASSWORD, roles=("admin",)
        )
        answer = await house.login()
        me = (await house.get("/me", token=answer.json()["access_token"])).json()
        assert me["account"] == {**me["account"], "id": made.id, "email_verified": True}
        assert me["roles"] == ["admin", "user"]
        with pytest.raises(Conflict):
            await registration.create(
                house.ambient, Actor.operator("root"), email=EMAIL.upper(), password=OTHER_PASSWORD, roles=()
            )
        (event,) = await house.events("accounts.created")
        assert (event["actor_kind"], event["actor_id"]) == ("operator", "root")
        with pytest.raises(InvalidEmail):
            await registration.create(house.ambient, Actor.operator("t"), email="x", password=PASSWORD, roles=())
