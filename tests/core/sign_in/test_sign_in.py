"""POST /auth/login: every failure has the same response and the same cost."""

import asyncio
from pathlib import Path

import argon2
import pytest

from ostiary.core.accounts import queries as accounts
from ostiary.core.accounts.service import set_roles
from ostiary.core.hashing import Hashing
from ostiary.core.plug import Actor
from ostiary.core.sessions.service import set_disabled, sign_out_everywhere
from ostiary.errors import Conflict
from ostiary.settings import AccountSettings, HashingSettings
from tests.core.installation import EMAIL, PASSWORD, installation, password_hash, tokens_of, told

WRONG = "a kettle that hums in winter"
OPERATOR = Actor.operator("test")


async def set_hash(house, person, stored):
    async def body(tx):
        await tx.execute("update accounts set password_hash = $2 where id = $1", person.id, stored)

    await house.ambient.database.transaction(body)


async def hash_of(house, person):
    return (await house.rows("select password_hash from accounts where id = $1", person.id))[0][0]


async def test_the_correct_password_returns_valid_tokens(database_url):
    async with installation(database_url) as house:
        person = await house.person("Ada@example.com")
        answer = await house.login("ADA@EXAMPLE.COM", device_name="Ada's telephone")
        tokens = tokens_of(answer)
        assert answer.json() == {
            "access_token": tokens.access,
            "token_type": "Bearer",
            "refresh_token": tokens.refresh,
            "device_token": answer.json()["device_token"],
            "expires_in": 900,
            "session_id": tokens.session_id,
        }
        assert answer.headers["cache-control"] == "no-store"
        me = (await house.get("/me", token=tokens.access)).json()
        assert me["account"]["id"] == person.id
        assert me["session"]["id"] == tokens.session_id
        assert me["session"]["device_name"] == "Ada's telephone"
        assert me["amr"] == ["pwd"]


FAILING = {
    "an unknown address": ("nobody@example.com", PASSWORD),
    "a wrong password": (EMAIL, WRONG),
    "an empty password": (EMAIL, ""),
    "a password that is too long": (EMAIL, "x" * 5000),
    "a disabled account": ("disabled@example.com", PASSWORD),
    "a disabled account and a wrong password": ("disabled@example.com", WRONG),
    "an account without a password": ("passwordless@example.com", PASSWORD),
    "an account with a damaged hash": ("damaged@example.com", PASSWORD),
    "an account with a hostile hash": ("hostile@example.com", PASSWORD),
    "an account with a foreign hash": ("foreign@example.com", PASSWORD),
    "no address at all": ("not an address", PASSWORD),
    "an empty address": ("", PASSWORD),
    "an address and a line break": (EMAIL.replace("@", "@\n"), PASSWORD),
    "an address of 10,000 characters": ("a@" + "b" * 10_000 + ".com", PASSWORD),
    "an address to inject by": ("' or 1=1 --", PASSWORD),
}


@pytest.mark.usefixtures("real_hashing")
async def test_every_failure_has_the_same_response_statements_and_hashes(database_url, monkeypatch):
    """L01, L02, E1, E2: responses are byte-identical. The work is counted, because equal work takes equal time."""
    costs = []
    verify = argon2.PasswordHasher.verify

    def counted(hasher, stored, password):
        costs.append(argon2.extract_parameters(stored).memory_cost)
        return verify(hasher, stored, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", counted)
    async with installation(database_url) as house:
        await house.person()
        await set_disabled(house.ambient, OPERATOR, (await house.person("disabled@example.com")).id, disabled=True)
        for name, stored in (
            ("passwordless", None),
            ("damaged", "$argon2id$v=19$m="),
            ("hostile", password_hash().replace("m=19456", "m=2147483648")),
            ("foreign", "$2b$12$" + "a" * 53),
        ):
            await set_hash(house, await house.person(f"{name}@example.com"), stored)
        statements = []
        house.watch(statements.append)
        seen = {}
        for name, (email, password) in FAILING.items():
            statements.clear()
            costs.clear()
            answer = await house.login(email, password)
            assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials"), name
            seen[name] = (told(answer), tuple(statements), tuple(costs))
        assert len({str(each) for each in seen.values()}) == 1, seen
        assert seen["a wrong password"][2] == (19 * 1024,)
        assert len(statements) >= 5


@pytest.mark.usefixtures("real_hashing")
async def test_a_hash_with_outdated_parameters_is_renewed_at_sign_in(database_url):
    """D5: only the correct password renews it. The new hash is current and is not renewed again."""
    old = argon2.PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=2, salt_len=8).hash(PASSWORD)
    async with installation(database_url) as house:
        person = await house.person()
        await set_hash(house, person, old)
        assert (await house.login(password=WRONG)).status_code == 401
        assert await hash_of(house, person) == old
        assert (await house.login()).status_code == 200
        renewed = await hash_of(house, person)
        assert renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert (await house.login()).status_code == 200
        assert await hash_of(house, person) == renewed


class Between:
    """Runs something while the password is being hashed: after the account was read, before the commit."""

    def __init__(self, monkeypatch, happens):
        verify = Hashing.verify

        async def slowed(hashing, stored, password):
            matches = await verify(hashing, stored, password)
            await happens()
            return matches

        monkeypatch.setattr(Hashing, "verify", slowed)


@pytest.mark.parametrize("change", ["password", "disabled", "roles", "deleted"])
async def test_a_change_while_the_password_is_hashed_ends_the_sign_in(database_url, change, monkeypatch):
    """Time of check, time of use: no session if the password or the account changes in the meantime."""
    async with installation(database_url) as house:
        person = await house.person()

        async def happens():
            if change == "password":
                await set_hash(house, person, argon2.PasswordHasher().hash(WRONG))
            elif change == "disabled":
                await set_disabled(house.ambient, OPERATOR, person.id, disabled=True)
            elif change == "roles":
                await set_roles(house.ambient, OPERATOR, person.id, add={"moderator"})
            else:
                await house.ambient.database.execute("delete from accounts where id = $1", person.id)

        Between(monkeypatch, happens)
        answer = await house.login()
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
        assert await house.rows("select * from sessions") == []


@pytest.mark.usefixtures("real_hashing")
async def test_a_renewed_hash_never_replaces_a_password_that_was_changed_in_the_meantime(database_url, monkeypatch):
    """Otherwise a sign-in with the old password would restore it."""
    old = argon2.PasswordHasher(time_cost=1, memory_cost=8 * 1024).hash(PASSWORD)
    new = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(WRONG)
    async with installation(database_url) as house:
        person = await house.person()
        await set_hash(house, person, old)
        Between(monkeypatch, lambda: set_hash(house, person, new))
        assert (await house.login()).status_code == 401
        assert await hash_of(house, person) == new


async def test_each_sign_in_gets_its_own_session_that_the_caller_cannot_choose(sqlite_url):
    """L17, session fixation: tokens that the client sends are not read and do not become part of another session."""
    async with installation(sqlite_url) as house:
        await house.person()
        first = tokens_of(await house.login())
        cookies = f"__Host-ostiary_access={first.access}; __Host-ostiary_refresh={first.refresh}; session=chosen"
        second = tokens_of(await house.login(token=first.access, headers={"cookie": cookies}))
        assert second.session_id != first.session_id
        assert {first.session_id, second.session_id}.isdisjoint({"chosen"})
        for name in ("session_id", "sid", "session", "id"):
            answer = await house.login(**{name: "ses_chosen"})
            assert answer.status_code == 422
        assert await house.is_let_in(first.access), "another device stays signed in"


async def test_the_length_of_the_device_name_is_limited(sqlite_url):
    async with installation(sqlite_url) as house:
        await house.person()
        assert (await house.login(device_name="x" * 100)).status_code == 200
        assert (await house.login(device_name="x" * 101)).status_code == 422
        assert (await house.login(device_name=5)).status_code == 422


@pytest.mark.usefixtures("real_hashing")
async def test_sign_ins_beyond_the_hashing_queue_get_503_with_retry_after(sqlite_url):
    """L09: the rest get 503 and Retry-After, and every accepted request gets a response."""
    async with installation(sqlite_url, HashingSettings(threads=1, queue=3)) as house:
        await house.person()
        answers = await asyncio.gather(*(house.login() for _ in range(12)))
        codes = sorted(answer.status_code for answer in answers)
        assert set(codes) == {200, 503}
        assert codes.count(200) >= 4
        busy = next(answer for answer in answers if answer.status_code == 503)
        assert (busy.json()["code"], busy.headers["retry-after"]) == ("busy", "1")
        assert (await house.login()).status_code == 200


@pytest.mark.usefixtures("real_hashing")
async def test_a_hash_that_requests_two_tebibytes_neither_crashes_nor_signs_in(sqlite_url):
    """D7: the hash is in a planted row."""
    async with installation(sqlite_url) as house:
        person = await house.person()
        for cost in ("m=2147483648,t=2,p=1", "m=19456,t=4294967295,p=1", "m=19456,t=2,p=16777215"):
            await set_hash(house, person, password_hash().replace("m=19456,t=2,p=1", cost))
            assert (await house.login()).status_code == 401


async def test_no_password_and_no_token_is_stored_anywhere(sqlite_url):
    """I2, N3: they are neither in a row nor in the log of the database."""
    async with installation(sqlite_url) as house:
        await house.register("new@example.com")
        await house.person()
        tokens = tokens_of(await house.login())
        refreshed = tokens_of(await house.refresh(tokens.refresh))
        await house.login(password=WRONG)
        path = house.auth.settings.database.removeprefix("sqlite:///")
    content = b"".join(file.read_bytes() for file in Path(path).parent.iterdir())
    assert b"ada@example.com" in content
    for secret in (PASSWORD, WRONG, *tokens[:2], *refreshed[:2]):
        assert secret.encode() not in content


async def test_a_sign_in_concurrent_with_signing_everybody_out_leaves_no_old_session(database_url):
    """In either order, a surviving session started afterwards. Each round has one sign-in before, two concurrent ones
    and one after."""
    seen = []
    async with installation(database_url) as house:
        person = await house.person()
        for _ in range(4):
            before = await house.login()
            racing = [asyncio.ensure_future(house.login()) for _ in range(2)]
            await asyncio.sleep(0.03)
            await sign_out_everywhere(house.ambient, OPERATOR, person.id)
            epoch = (await accounts.standing(house.ambient.database, person.id)).epoch
            answers = [before, *await asyncio.gather(*racing), await house.login()]
            assert {answer.status_code for answer in answers} <= {200, 401}
            for tokens in [tokens_of(answer) for answer in answers if answer.status_code == 200]:
                began_after = tokens.claims["ver"] == epoch
                seen.append(began_after)
                assert await house.is_let_in(tokens.access) is began_after
                assert ((await house.refresh(tokens.refresh)).status_code == 200) is began_after
    assert seen.count(False) >= 4
    assert seen.count(True) >= 4


async def test_p04_a_device_name_that_is_not_printable_is_refused(sqlite_url):
    """It appears in lists of sessions and in mails."""
    async with installation(sqlite_url) as house:
        await house.person()
        for name in ["a\r\nb", "\x1b[2K", "abc\u202edef", "a\u2028b"]:
            answer = await house.login(device_name=name)
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
        assert (await house.login(device_name="Ada's phone")).status_code == 200


@pytest.mark.parametrize("around", [" ", "\xa0", "\u200b", "\r\n"], ids=ascii)
async def test_an_address_is_the_same_with_white_space_around_it_and_a_password_is_not(sqlite_url, around):
    """Phones add a space after a completed address. A password counts exactly as sent."""
    async with installation(sqlite_url) as house:
        await house.register(f"{around}{EMAIL}{around}")
        assert await house.rows("select email from accounts") == [(EMAIL,)]
        assert (await house.login(f"{EMAIL}{around}")).status_code == 200
        assert (await house.login(EMAIL, f"{PASSWORD}{around}")).status_code == 401
        found = await house.auth.accounts.by_email(f"{around}{EMAIL}")
        assert found.email == EMAIL
        with pytest.raises(Conflict):
            await house.auth.accounts.create(email=f"{EMAIL}{around}", password=PASSWORD)


async def test_people_of_a_private_domain_register_sign_in_and_change_their_password_with_the_setting(sqlite_url):
    email, new = "ada@wiki.internal", "a kettle that hums in winter"
    async with installation(sqlite_url) as house:
        answer = await house.register(email)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_email")
    async with installation(sqlite_url, AccountSettings(private_domains=True)) as house:
        assert (await house.register(email)).status_code == 202
        tokens = tokens_of(await house.login(email))
        body = {"current_password": PASSWORD, "new_password": new}
        assert (await house.post("/password/change", body, token=tokens.access)).status_code == 204
        assert (await house.login(email, new)).status_code == 200
