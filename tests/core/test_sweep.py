"""Expired rows are removed in batches. A statement without a limit would block all requests while it runs."""

import pytest

from ostiary.core.clock import MICROSECONDS
from ostiary.core.housekeeping import Housekeeper
from ostiary.core.plug import Feature
from ostiary.store.database import SWEEP_ROWS
from tests.core.installation import installation

TWO_AND_A_BIT = 2 * SWEEP_ROWS + 1


async def insert(house, table, rows):
    """Inserts rows, given as dicts with the same column names."""

    async def body(tx):
        for row in rows:
            places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
            await tx.execute(f"insert into {table} ({', '.join(row)}) values ({places})", *row.values())

    await house.ambient.database.transaction(body)


def account(number):
    address = f"p{number}@example.com"
    return {"id": f"acc_{number}", "email": address, "email_key": address, "epoch": 1, "created_at": 0}


def session(number, *, expires_at):
    told = dict.fromkeys(("client_id", "acr", "amr", "user_agent", "source"), "x")
    times = {"created_at": 0, "last_seen_at": 0, "auth_time": 0, "expires_at": expires_at}
    return {"id": f"ses_{number:04}", "account_id": "acc_0", **told, **times}


def tokens(session_number, count):
    for number in range(count):
        name = f"{session_number}/{number}".encode()
        yield {"hash": name, "session_id": f"ses_{session_number:04}", "generation": number, "issued_at": 0}


def registration(number, *, expires_at):
    told = dict.fromkeys(("email", "email_key", "password_hash"), "x")
    return {"token_hash": str(number).encode(), **told, "created_at": 0, "expires_at": expires_at}


def attempt(number, *, expires_at):
    told = {"account_id": "acc_0", "epoch": 1, "amr": "pwd", "transport": "token", "source": "x", "tries": 0}
    return {"token_hash": str(number).encode(), **told, "expires_at": expires_at}


def enrolment(number, *, expires_at):
    return {"account_id": f"acc_{number}", "sealed_secret": b"x", "expires_at": expires_at, "last_step": 0}


async def count(house, table):
    return (await house.rows(f"select count(*) from {table}"))[0][0]


def sweep_of(house, name):
    """One call of the sweep of a slice."""
    (sweep,) = [feature.sweep for feature in house.auth._assembly.features if feature.name == name]
    return lambda: house.ambient.database.transaction(lambda tx: sweep(tx, house.ambient.now()))


@pytest.mark.parametrize(
    ("slice_", "table", "row"),
    [
        ("accounts", "registrations", registration),
        ("sign_in", "sign_in_attempts", attempt),
        ("totp", "totp_secrets", enrolment),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_three_rounds_remove_exactly_the_expired_rows(database_url, slice_, table, row):
    async with installation(database_url) as house:
        now = house.ambient.now()
        await insert(house, "accounts", [account(n) for n in range(TWO_AND_A_BIT + 1 if slice_ == "totp" else 1)])
        expired = [row(number, expires_at=now - number % 7) for number in range(TWO_AND_A_BIT)]
        await insert(house, table, [*expired, row(TWO_AND_A_BIT, expires_at=now + 1)])
        sweep = sweep_of(house, slice_)
        assert [await sweep() for _ in range(4)] == [SWEEP_ROWS, SWEEP_ROWS, 1, 0]
        assert await house.rows(f"select expires_at from {table}") == [(now + 1,)]


async def test_a_session_is_deleted_only_after_its_tokens(database_url):
    """If tokens were deleted with their session, one statement would delete the tokens of several weeks."""
    async with installation(database_url) as house:
        now, many = house.ambient.now(), SWEEP_ROWS + 100
        await insert(house, "accounts", [account(0)])
        sessions = [(1, now - 1), (2, now), (3, now + 1)]
        await insert(house, "sessions", [session(number, expires_at=end) for number, end in sessions])
        await insert(house, "refresh_tokens", [each for number in (1, 2) for each in tokens(number, many)])
        await insert(house, "refresh_tokens", tokens(3, 2))
        sweep, left = sweep_of(house, "tokens"), []
        for _ in range(3):
            removed = await sweep()
            left.append((removed, await count(house, "sessions"), await count(house, "refresh_tokens")))
        bit = 2 * many - 2 * SWEEP_ROWS
        assert left == [(SWEEP_ROWS, 3, 2 * many + 2 - SWEEP_ROWS), (SWEEP_ROWS, 3, bit + 2), (bit + 2, 1, 2)]
        assert await sweep() == 0
        assert await house.rows("select distinct session_id from refresh_tokens") == [("ses_0003",)]


async def test_many_sessions_are_deleted_in_batches_and_others_keep_their_tokens(database_url):
    async with installation(database_url) as house:
        now = house.ambient.now()
        await insert(house, "accounts", [account(0)])
        numbers = range(SWEEP_ROWS + 1)
        await insert(house, "sessions", [session(number, expires_at=now) for number in numbers])
        await insert(house, "refresh_tokens", [each for number in (0, SWEEP_ROWS) for each in tokens(number, 2)])
        sweep = sweep_of(house, "tokens")
        assert await sweep() == 2 + SWEEP_ROWS
        assert await house.rows("select id from sessions") == [(f"ses_{SWEEP_ROWS:04}",)]
        assert await count(house, "refresh_tokens") == 2
        assert await sweep() == 2 + 1


async def test_housekeeping_continues_until_nothing_is_left(database_url):
    async with installation(database_url) as house:
        now = house.ambient.now()
        await insert(house, "accounts", [account(0)])
        sessions = [session(number, expires_at=now + number // SWEEP_ROWS) for number in range(SWEEP_ROWS + 1)]
        await insert(house, "sessions", sessions)
        await insert(house, "refresh_tokens", tokens(0, TWO_AND_A_BIT))
        await insert(house, "refresh_tokens", tokens(SWEEP_ROWS, 1))
        await insert(house, "registrations", [registration(n, expires_at=now) for n in range(TWO_AND_A_BIT)])
        await house.tidy()
        left = [await count(house, table) for table in ("sessions", "refresh_tokens", "registrations")]
        assert left == [1, 1, 0]


async def test_later_slices_are_swept_first_and_each_in_its_own_transaction(sqlite_url):
    """Their rows refer to rows of earlier slices and would otherwise be deleted with those without a limit."""
    async with installation(sqlite_url) as house:
        calls = []

        def sweep_named(name, removed):
            async def sweep(_tx, now):
                calls.append((name, now // MICROSECONDS))
                return removed.pop()

            return sweep

        rounds = {"early": [0, SWEEP_ROWS], "late": [SWEEP_ROWS - 1, SWEEP_ROWS, SWEEP_ROWS + 3]}
        features = [Feature(name=name, sweep=sweep_named(name, left)) for name, left in rounds.items()]
        await house.ambient.database.execute("delete from store_lease")  # it may have been swept in the meantime
        assert await Housekeeper(house.ambient, features).tidy()
        assert [name for name, _ in calls] == ["late"] * 3 + ["early"] * 2
        assert {now for _, now in calls} == {house.ambient.now() // MICROSECONDS}
