"""The limit per source: what is counted, what is returned, and what cannot bypass it."""

import asyncio

import pytest

from ostiary.core.hashing import Hashing
from ostiary.core.sign_in import service
from ostiary.errors import StoreUnavailable
from ostiary.settings import HashingSettings, SignInSettings
from tests.core.installation import EMAIL, PASSWORD, installation, new_address, opened, ostiary, told

HERE = "192.0.2.1"
WRONG = "a kettle that hums in winter"
FIVE = SignInSettings(limit="5/minute")


async def fail(house, source=HERE, **options):
    return (await house.login(password=WRONG, source=source, **options)).status_code


async def test_five_attempts_a_minute_then_429_with_a_correct_retry_after(database_url):
    async with installation(database_url, FIVE) as house:
        assert [await fail(house) for _ in range(5)] == [401] * 5
        answer = await house.login(source=HERE)
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        wait = int(answer.headers["retry-after"])
        assert 1 <= wait <= 12
        house.clock.advance(wait - 1)
        assert await fail(house) == 429
        house.clock.advance(1)
        assert await fail(house) == 401
        assert await fail(house) == 429, "exactly one attempt became available"
        house.clock.advance(60)
        assert [await fail(house) for _ in range(6)] == [401] * 5 + [429]


async def test_each_source_has_its_own_limit(sqlite_url):
    async with installation(sqlite_url, FIVE) as house:
        assert [await fail(house) for _ in range(6)][-1] == 429
        assert await fail(house, "192.0.2.2") == 401


async def test_a_success_returns_its_own_count_and_resets_nothing(sqlite_url):
    """E3: an attacker must not be able to clear the count of wrong guesses by signing in to their own account."""
    async with installation(sqlite_url, FIVE) as house:
        await house.person("attacker@example.com")
        await house.person()
        for _ in range(8):
            assert (await house.login("attacker@example.com", source=HERE)).status_code == 200
        guesses = []
        for _ in range(7):
            await house.login("attacker@example.com", source=HERE)
            guesses.append(await fail(house))
        assert guesses == [401] * 5 + [429] * 2


async def test_concurrent_attempts_cannot_exceed_the_limit(database_url):
    """E9."""
    async with installation(database_url, HashingSettings(queue=1000), FIVE) as house:
        codes = await asyncio.gather(*(fail(house) for _ in range(20)))
        assert sorted(codes) == [401] * 5 + [429] * 15


async def test_two_servers_on_one_database_share_the_count(database_url):
    async with installation(database_url, FIVE) as house:
        other = ostiary(database_url, house.clock, house.outbox, FIVE)
        async with opened(other, house.clock, house.outbox) as second:
            codes = await asyncio.gather(*(fail(each) for each in (house, second) * 5))
            assert sorted(codes) == [401] * 5 + [429] * 5


@pytest.mark.parametrize(
    ("sources", "allowed"),
    [
        ([f"2001:db8:1:2::{n:x}" for n in range(1, 9)], 5),
        ([f"2001:db8:1:2:{n:x}:ffff::1" for n in range(1, 9)], 5),
        ([f"2001:db8:1:{n:x}::1" for n in range(1, 9)], 8),
        ([f"192.0.2.{n}" for n in range(1, 9)], 8),
        (["192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207"] * 3, 5),
    ],
    ids=["one /64", "one /64, other interfaces", "other /64s", "IPv4 each its own", "IPv4 mapped is IPv4"],
)
async def test_which_addresses_count_as_one_source(sqlite_url, sources, allowed):
    """L05: the IPv6 network of a household is one source, however many addresses it has."""
    async with installation(sqlite_url, FIVE) as house:
        codes = [(await house.login("x", source=source)).status_code for source in sources]
        assert codes.count(401) == allowed


async def test_untrusted_headers_do_not_change_the_source(sqlite_url):
    """L04."""
    names = ("x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip", "x_forwarded_for")
    async with installation(sqlite_url, FIVE) as house:
        codes = [await fail(house, headers=dict.fromkeys(names, f"203.0.113.{n}")) for n in range(8)]
        assert codes == [401] * 5 + [429] * 3


async def test_other_spellings_of_an_email_address_share_the_limit(sqlite_url):
    """L03: attempts are counted per source, so that another spelling does not start a new count."""
    spellings = [
        EMAIL,
        EMAIL.upper(),
        f" {EMAIL}",
        f"{EMAIL}\u200b",
        "ada+1@example.com",
        f"{EMAIL}.",
        "ada@example.com\0",
    ]
    async with installation(sqlite_url, FIVE) as house:
        await house.person()
        codes = [(await house.login(email, WRONG, source=HERE)).status_code for email in spellings]
        assert codes[:5] == [401] * 5
        assert codes[5] == 429


async def test_over_the_limit_a_correct_password_gets_the_same_response_as_a_wrong_one(sqlite_url):
    async with installation(sqlite_url, FIVE) as house:
        await house.person()
        for _ in range(5):
            await fail(house)
        cases = [(EMAIL, PASSWORD), (EMAIL, WRONG), ("nobody@example.com", PASSWORD), ("x", "")]
        answers = [await house.login(email, password, source=HERE) for email, password in cases]
        assert len({str(told(answer)) for answer in answers}) == 1
        assert answers[0].status_code == 429


async def test_over_the_limit_no_password_is_hashed(sqlite_url, monkeypatch):
    """L09: expensive work happens only after counting."""
    async with installation(sqlite_url, FIVE) as house:
        await house.person()
        for _ in range(5):
            await fail(house)

        async def fails(*_):
            raise AssertionError("hashed")

        monkeypatch.setattr(Hashing, "verify", fails)
        assert await fail(house) == 429


async def test_over_the_limit_no_address_is_parsed_and_no_account_is_looked_up(sqlite_url, monkeypatch):
    """A request that is refused must cost nothing that its sender can choose."""
    async with installation(sqlite_url, FIVE) as house:
        for _ in range(5):
            await fail(house)

        async def find(*_):
            raise AssertionError("looked up")

        monkeypatch.setattr(service, "find", find)
        assert await fail(house, email="a@" + chr(0xAC00) * 240 + ".de") == 429


async def test_without_the_counters_no_one_can_sign_in(sqlite_url):
    """E7: the limit fails closed."""
    async with installation(sqlite_url, FIVE) as house:
        await house.person()

        def seen(sql):
            if "hot_rate" in sql:
                raise StoreUnavailable("away")

        house.watch(seen)
        answer = await house.login()
        assert answer.status_code == 503
        assert "retry-after" in answer.headers


FEW = SignInSettings(limit="100000/minute", account_limit="3/hour")


async def test_one_account_cannot_begin_sessions_without_end(database_url):
    """212 own sign-ins in ten seconds: each success gave its count back, and each wrote rows that stay."""
    async with installation(database_url, FEW) as house:
        await house.person()
        await house.person("eve@example.com")
        assert [(await house.login()).status_code for _ in range(4)] == [200, 200, 200, 429]
        rows = await house.rows("select count(*) from audit_events")
        answer = await house.login()
        assert answer.json()["code"] == "rate_limited"
        wait = int(answer.headers["retry-after"])
        assert 1 <= wait <= 1200
        assert await house.rows("select count(*) from audit_events") == rows
        assert (await house.login("eve@example.com")).status_code == 200
        house.clock.advance(wait)
        assert [(await house.login()).status_code for _ in range(2)] == [200, 429]


async def test_the_limit_of_an_account_is_reached_only_with_its_password(sqlite_url):
    """A stranger neither learns that an account signs in often, nor uses up its limit."""
    async with installation(sqlite_url, FEW) as house:
        await house.person()
        assert {await fail(house, new_address()) for _ in range(10)} == {401}
        assert [(await house.login()).status_code for _ in range(4)] == [200, 200, 200, 429]
        stranger = [await house.login(email, WRONG) for email in (EMAIL, "nobody@example.com")]
        assert told(stranger[0]) == told(stranger[1])
        assert stranger[0].status_code == 401


async def test_concurrent_sign_ins_cannot_exceed_the_limit_of_the_account(database_url):
    async with installation(database_url, HashingSettings(queue=1000), FEW) as house:
        await house.person()
        codes = [answer.status_code for answer in await asyncio.gather(*(house.login() for _ in range(10)))]
        assert sorted(codes) == [200] * 3 + [429] * 7


@pytest.mark.parametrize("failure", ["a resource that is not allowed", "an outage"])
async def test_a_sign_in_that_fails_after_the_password_does_not_count_for_the_account(database_url, failure):
    """Somebody who has only the password would otherwise keep out the owner, and so would an outage."""
    async with installation(database_url, FEW) as house:
        await house.person()
        is_away = failure == "an outage"

        def seen(sql):
            if is_away and sql.startswith("insert into sessions"):
                raise StoreUnavailable("away")

        house.watch(seen)
        options = {} if is_away else {"resource": "https://nowhere.example/"}
        codes = {(await house.login(**options)).status_code for _ in range(5)}
        assert codes == {503 if failure == "an outage" else 400}
        is_away = False
        assert [(await house.login()).status_code for _ in range(4)] == [200, 200, 200, 429]
