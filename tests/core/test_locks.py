"""Verbs that lock rows of one account never block each other for ever: all of them lock in the same order."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace

import asyncpg
import httpx
import pyotp
import pytest

from ostiary.core.accounts.service import set_roles
from ostiary.core.plug import Actor
from ostiary.core.sessions.service import set_disabled
from ostiary.settings import SessionSettings
from tests.core.devices.signing_in import disown_tokens
from tests.core.installation import PASSWORD, Installation, Person, Tokens, installation, tokens_of

OPERATOR = Actor.operator("test")
LIMIT = 3
LOCKED_WITH_THE_ACCOUNT = {"accounts", "devices", "sessions", "totp_secrets", "totp_recovery_codes", "account_roles"}
LOCKED_BEFORE = {"roles", "sign_in_attempts", "registrations"}
COUNTERS = {"hot_rate", "hot_reservation"}  # statements of their own
WRITES = re.compile(r"(?:update|delete from|insert into) (\w+)")


@dataclass
class State:
    """An account at its session limit, with a second factor. ``sessions``: the oldest first."""

    person: Person
    sessions: list[Tokens]
    device_token: str
    device_id: str
    disown_token: str
    spent: str
    totp: pyotp.TOTP

    @property
    def newest(self) -> Tokens:
        return self.sessions[-1]


async def account(house: Installation, number: int) -> State:
    person = await house.person(f"person{number}@example.com")
    answer = await house.login(person.email)
    first = tokens_of(answer)
    disown_token = (await disown_tokens(house))[-1]
    sessions = [first, *[await house.session(person) for _ in range(LIMIT - 1)]]
    spent = sessions[1].refresh
    sessions[1] = tokens_of(await house.refresh(spent))
    house.clock.advance(60)
    devices = (await house.get("/devices", token=first.access)).json()["devices"]
    enrolled = await house.post("/totp", token=sessions[2].access)
    totp = pyotp.TOTP(enrolled.json()["secret"])
    return State(person, sessions, answer.json()["device_token"], devices[0]["id"], disown_token, spent, totp)


async def confirmed(house: Installation, state: State) -> None:
    answer = await house.post("/totp/confirm", {"code": code(house, state)}, token=state.newest.access)
    assert answer.status_code == 200, answer.text
    house.clock.advance(30)


def code(house: Installation, state: State) -> str:
    return state.totp.at(house.ambient.seconds())


Verb = Callable[[Installation, State], Awaitable[httpx.Response | None]]


async def sign_in(house, state):
    return await house.login(state.person.email, device_token=state.device_token)


async def sign_in_with_a_new_device(house, state):
    return await house.login(state.person.email)


async def refresh(house, state):
    return await house.refresh(state.sessions[0].refresh)


async def reuse(house, state):
    return await house.refresh(state.spent)


async def log_out(house, state):
    other = {"refresh_token": state.newest.refresh}
    return await house.post("/logout", other, token=state.sessions[0].access)


async def end_one(house, state):
    return await house.ask("DELETE", f"/auth/sessions/{state.sessions[0].session_id}", token=state.newest.access)


async def sign_out_everywhere(house, state):
    return await house.ask("DELETE", "/auth/sessions", token=state.newest.access)


async def forget_the_device(house, state):
    return await house.ask("DELETE", f"/auth/devices/{state.device_id}", token=state.newest.access)


async def disown_the_device(house, state):
    return await house.post("/devices/disown", {"token": state.disown_token})


async def change_the_password(house, state):
    body = {"current_password": PASSWORD, "new_password": "nine green ladders whisper"}
    return await house.post("/password/change", body, token=state.newest.access)


async def disable(house, state):
    await set_disabled(house.ambient, OPERATOR, state.person.id, disabled=True)


async def change_roles(house, state):
    await set_roles(house.ambient, OPERATOR, state.person.id, add={"moderator"})


async def revoke(house, state):
    return await house.send_form("/revoke", f"token={state.newest.access}")


async def confirm_totp(house, state):
    return await house.post("/totp/confirm", {"code": code(house, state)}, token=state.newest.access)


async def finish_with_totp(house, state):
    """Two steps. The account has a second factor before them."""
    begun = await house.login(state.person.email, device_token=state.device_token)
    if begun.status_code != 202:
        return begun  # another verb was first
    return await house.post("/login/totp", {"attempt": begun.json()["attempt"], "code": code(house, state)})


async def remove_totp(house, state):
    signed_in = await finish_with_totp(house, state)
    if signed_in.status_code != 200:
        return signed_in  # another verb was first
    return await house.ask("DELETE", "/auth/totp", token=tokens_of(signed_in).access)


VERBS: dict[Verb, bool] = {
    sign_in: False,
    sign_in_with_a_new_device: False,
    refresh: False,
    reuse: False,
    log_out: False,
    end_one: False,
    sign_out_everywhere: False,
    forget_the_device: False,
    disown_the_device: False,
    change_the_password: False,
    disable: False,
    change_roles: False,
    revoke: False,
    confirm_totp: False,
    finish_with_totp: True,
    remove_totp: True,
}
"""Whether the second factor must be active before."""


async def prepared(house: Installation, verb: Verb, number: int) -> State:
    state = await account(house, number)
    if verb is reuse:
        house.clock.advance(60)
    if VERBS[verb]:
        await confirmed(house, state)
    return state


def named(verbs):
    return pytest.mark.parametrize("verb", verbs, ids=lambda verb: verb.__name__)


@named(VERBS)
async def test_a_verb_that_locks_several_rows_of_an_account_locks_the_account_first(database_url, verb):
    async with installation(database_url, SessionSettings(limit=LIMIT)) as house:
        state = await prepared(house, verb, 1)
        statements = []
        house.watch(statements.append)
        answer = await verb(house, state)
        assert answer is None or answer.status_code in {200, 204} or verb is reuse, answer.text
    transactions = [each.split("\n") for each in "\n".join(statements).split("begin\n")[1:]]
    assert transactions
    for transaction in transactions:
        written = [found[1] for sql in transaction if (found := WRITES.match(sql)) and found[1] not in COUNTERS]
        locked = [table for table in written if table in LOCKED_WITH_THE_ACCOUNT]
        if len(locked) > 1 and set(locked) != {"sessions"}:
            assert locked[0] == "accounts", written
        before = [table for table in written if table in LOCKED_BEFORE]
        assert written[: len(before)] == before or set(before) == {"sign_in_attempts"}, written
        sessions_of_one_verb = {sql for sql in transaction if sql.startswith("update sessions set ended_at")}
        assert len(sessions_of_one_verb) <= 1 or "accounts" in locked, written
        if "feed_head" in written:
            assert set(written[written.index("feed_head") :]) <= {"feed_head", "feed"}, "the feed comes last"


# -- all pairs ---------------------------------------------------------------------------------------------------------

PAUSE = 4711
_who: ContextVar[str] = ContextVar("who", default="")


class Stepped:
    """A database whose first caller waits before a chosen statement, for the advisory lock that the test holds."""

    def __init__(self, inner, *, pause_before: int) -> None:
        self._inner = inner
        self._pause_before = pause_before
        self.statements: list[str] = []
        self.asked: Counter[str] = Counter()
        self.run: Counter[str] = Counter()
        self.paused = asyncio.Event()

    async def transaction(self, body, *, patience=None):
        who = _who.get()
        self.asked[who] += 1

        async def counted(tx):
            self.run[who] += 1
            return await body(SteppedTransaction(tx, self))

        return await self._inner.transaction(counted, patience=patience)

    async def step(self, tx, sql: str) -> None:
        if _who.get() == "first":
            self.statements.append(sql)
            if len(self.statements) == self._pause_before:
                self.paused.set()
                await tx.one(f"select pg_advisory_xact_lock({PAUSE})")

    def __getattr__(self, name):
        return getattr(self._inner, name)


class SteppedTransaction:
    def __init__(self, inner, database: Stepped) -> None:
        self._inner = inner
        self._database = database

    def __getattr__(self, name):
        attribute = getattr(self._inner, name)
        if name not in {"one", "few", "all", "execute"}:
            return attribute

        async def stepped(sql, *args):
            await self._database.step(self._inner, sql)
            return await attribute(sql, *args)

        return stepped


async def named_task(who: str, verb: Verb, house: Installation, state: State) -> int:
    _who.set(who)
    answer = await verb(house, state)
    return 0 if answer is None else answer.status_code


async def interleaved(
    house: Installation, test: asyncpg.Connection, first: Verb, second: Verb, number: int, *, at: int
) -> Stepped:
    state = await prepared(house, first if VERBS[first] or first is reuse else second, number)
    plain = house.ambient
    stepped = Stepped(plain.database, pause_before=at)
    house.auth._life.ambient = replace(plain, database=stepped)
    await test.execute(f"select pg_advisory_lock({PAUSE})")
    try:
        one = asyncio.create_task(named_task("first", first, house, state))
        await asyncio.wait([one, asyncio.create_task(stepped.paused.wait())], return_when=asyncio.FIRST_COMPLETED)
        two = asyncio.create_task(named_task("second", second, house, state))
        await asyncio.wait([two], timeout=0.1)
        await test.execute("select pg_advisory_unlock_all()")
        async with asyncio.timeout(30):
            statuses = [await one, await two]
    finally:
        await test.execute("select pg_advisory_unlock_all()")
        stepped.paused.set()
        house.auth._life.ambient = plain
    assert max(statuses) < 500, (first.__name__, second.__name__, at, statuses)
    return stepped


def first_locks(statements: list[str]) -> list[int]:
    """The places after the first lock on each table."""
    seen: dict[str, int] = {}
    for place, sql in enumerate(statements, start=1):
        found = WRITES.match(sql)
        if found and found[1] in LOCKED_WITH_THE_ACCOUNT | LOCKED_BEFORE:
            seen.setdefault(found[1], place + 1)
    return list(seen.values())


@pytest.mark.slow
@pytest.mark.timeout(900)
@named(VERBS)
async def test_no_two_verbs_on_one_account_deadlock(postgres_url, verb):
    """One stops after each lock that it has taken, while the other runs as far as it can. PostgreSQL ends a deadlock
    after a second by making one of them start again."""
    test = await asyncpg.connect(postgres_url)
    try:
        async with installation(postgres_url, SessionSettings(limit=LIMIT)) as house:
            numbers = iter(range(10_000))
            dry = await interleaved(house, test, verb, refresh, next(numbers), at=0)
            after_locks = first_locks(dry.statements)
            assert after_locks
            for other in VERBS:
                for at in after_locks:
                    stepped = await interleaved(house, test, verb, other, next(numbers), at=at)
                    assert stepped.run == stepped.asked, f"{verb.__name__} and {other.__name__} at {at} deadlocked"
    finally:
        await test.close()
