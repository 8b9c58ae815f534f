"""The dispatcher: every row of its table, and the attempts between steps with a toy factor."""

import asyncio
from contextlib import asynccontextmanager
from functools import partial

import asyncpg
import pytest

from ostiary.app import slices
from ostiary.core.accounts.service import set_roles
from ostiary.core.opaque import Purpose, new_token
from ostiary.core.plug import Actor, FactorBody, Feature, Outcome, Proof
from ostiary.core.sessions.service import set_disabled, sign_out_everywhere
from ostiary.core.sign_in.model import Ask, Issue, decide
from ostiary.errors import RateLimited
from ostiary.settings import SignInSettings, TokenSettings
from tests.core.installation import EMAIL, ISSUER, PASSWORD, SAME_ORIGIN, installation, tokens_of, told

OPERATOR = Actor.operator("test")
RIGHT, WRONG = "open sesame", "open barley"
GATE = 4711


@pytest.mark.parametrize("offered", [(), ("a",), ("a", "b"), ("b", "a", "c")])
def test_the_table(offered):
    """Every row: a session is issued if no other factor is needed, or another factor was proved."""
    assert decide(second_proved=False, offered=offered) == (Ask(offered) if offered else Issue())
    assert decide(second_proved=True, offered=offered) == Issue()


class WordBody(FactorBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    word: str


class Word:
    """A toy factor. All accounts in ``who`` have it, and the word is always the same."""

    body = WordBody

    def __init__(self, name="word", amr=("kba",)):
        self.name = name
        self.amr = amr
        self.who = set()
        self.finished = 0
        self.while_offering = None

    async def offer(self, reader, account_id):
        if self.while_offering:
            await reader.one(self.while_offering)
        return account_id in self.who

    async def finish(self, ambient, account_id, body):
        self.finished += 1
        if body.word != RIGHT or account_id not in self.who:
            return None
        return Proof(factor=self.name, amr=self.amr, consume=partial(self._holds, account_id))

    async def _holds(self, account_id, tx):
        return account_id in self.who


class Noticing:
    """A check that records its calls and refuses when the test wants it to."""

    def __init__(self):
        self.told = []
        self.refuses = False

    async def before(self, ambient, attempt):
        self.told.append(("before", attempt.factor, attempt.account_id))
        if self.refuses:
            raise RateLimited(retry_after=7)

    async def after(self, ambient, attempt, outcome):
        self.told.append(("after", attempt.factor, outcome))


@asynccontextmanager
async def plugged(database_url, monkeypatch, *settings, **top):
    """An installation with a toy factor and a toy check, in which Ada has the factor."""
    word, check = Word(), Noticing()
    monkeypatch.setattr(slices, "FEATURES", (Feature(name="toy", factors=(word,), checks=(check,)),))
    async with installation(database_url, *settings, **top) as house:
        person = await house.person()
        word.who.add(person.id)
        house.word, house.check, house.ada = word, check, person
        yield house


async def begin(house, **options):
    answer = await house.login(**options)
    assert answer.status_code == 202, answer.text
    return answer.json()["attempt"]


async def finish(house, attempt, word=RIGHT, **options):
    return await house.post("/login/word", {"attempt": attempt, "word": word}, **options)


async def test_the_session_options_are_kept_until_the_last_step(database_url, monkeypatch):
    """The device, its name and the audience are kept, and a device is added only with the last factor."""
    orders = "https://orders.example.com"
    async with plugged(database_url, monkeypatch, TokenSettings(resources=(orders,))) as house:
        attempt = await begin(house, device_name="Ada's telephone", resource=orders)
        assert await house.rows("select id from devices") == []
        first = await finish(house, attempt)
        assert tokens_of(first).claims["aud"] == orders
        known = first.json()["device_token"]
        again = await finish(house, await begin(house, device_token=known))
        assert "device_token" not in again.json()
        ((name,),) = await house.rows("select name from devices")
        assert name == "Ada's telephone"
        assert len(await house.mails()) == 1


async def test_a_second_factor_is_required_and_the_session_has_both(database_url, monkeypatch):
    async with plugged(database_url, monkeypatch) as house:
        answer = await house.login()
        attempt = answer.json()["attempt"]
        assert answer.status_code == 202
        assert answer.json() == {"next": ["word"], "attempt": attempt, "expires_in": 300}
        assert answer.headers["cache-control"] == "no-store"
        assert await house.rows("select * from sessions") == []
        done = await finish(house, attempt)
        claims = tokens_of(done).claims
        assert claims["amr"] == ["pwd", "kba", "mfa"]
        assert claims["acr"] == "urn:ostiary:aal:2"
        assert await house.is_let_in(tokens_of(done).access)
        assert [told[:2] for told in house.check.told] == [
            ("before", "password"), ("after", "password"), ("before", "word"), ("after", "word"),
        ]  # fmt: skip
        assert [told[2] for told in house.check.told] == [
            None, Outcome.CONTINUES, house.ada.id, Outcome.SUCCEEDED,
        ]  # fmt: skip


async def test_an_account_without_the_factor_is_not_asked_for_it(sqlite_url, monkeypatch):
    async with plugged(sqlite_url, monkeypatch) as house:
        await house.person("bob@example.com")
        assert tokens_of(await house.login("bob@example.com")).claims["amr"] == ["pwd"]


async def test_without_the_password_no_one_learns_which_accounts_have_a_second_factor(sqlite_url, monkeypatch):
    """L01."""
    async with plugged(sqlite_url, monkeypatch) as house:
        await house.person("bob@example.com")
        emails = (EMAIL, "bob@example.com", "nobody@example.com")
        answers = [await house.login(email, "a kettle that hums") for email in emails]
        assert len({str(told(answer)) for answer in answers}) == 1


async def test_an_attempt_has_five_tries(database_url, monkeypatch):
    """M02: after that the password is required again, and the correct word is refused."""
    async with plugged(database_url, monkeypatch) as house:
        attempt = await begin(house)
        for _ in range(5):
            answer = await finish(house, attempt, WRONG)
            assert (answer.status_code, answer.json()["code"]) == (401, "invalid_code")
        assert (await finish(house, attempt)).status_code == 401
        assert len(await house.events("sign_in.failed")) == 5
        assert (await finish(house, await begin(house))).status_code == 200


async def test_concurrent_tries_are_all_counted(database_url, monkeypatch):
    async with plugged(database_url, monkeypatch) as house:
        attempt = await begin(house)
        words = [WRONG] * 15
        answers = await asyncio.gather(*(finish(house, attempt, word) for word in words))
        assert {answer.status_code for answer in answers} == {401}
        assert (await house.rows("select tries from sign_in_attempts"))[0][0] == 5
        assert (await finish(house, attempt)).status_code == 401


async def test_twenty_concurrent_correct_answers_create_one_session(database_url, monkeypatch):
    async with plugged(database_url, monkeypatch) as house:
        attempt = await begin(house)
        answers = await asyncio.gather(*(finish(house, attempt) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19
        assert len(await house.rows("select id from sessions")) == 1
        assert len(await house.events("sign_in.succeeded")) == 1


async def test_an_attempt_ends_when_it_succeeds(sqlite_url, monkeypatch):
    async with plugged(sqlite_url, monkeypatch) as house:
        attempt = await begin(house)
        assert (await finish(house, attempt)).status_code == 200
        assert (await finish(house, attempt)).status_code == 401
        assert await house.rows("select * from sign_in_attempts") == []


async def test_an_attempt_expires_exactly_on_time(database_url, monkeypatch):
    async with plugged(database_url, monkeypatch, SignInSettings(attempt_lifetime=60)) as house:
        early, late = await begin(house), await begin(house)
        house.clock.advance(59.999)
        assert (await finish(house, early)).status_code == 200
        house.clock.advance(0.001)
        assert (await finish(house, late)).status_code == 401
        await house.tidy()
        assert await house.rows("select * from sign_in_attempts") == []


@pytest.mark.parametrize("change", ["roles", "everywhere", "disabled", "disabled and enabled", "factor", "deleted"])
async def test_a_change_between_the_steps_ends_the_attempt(database_url, monkeypatch, change):
    """The attempt is bound to the account as it was when the password was checked."""
    async with plugged(database_url, monkeypatch) as house:
        attempt = await begin(house)
        ambient, ada = house.ambient, house.ada.id
        if change == "roles":
            await set_roles(ambient, OPERATOR, ada, add={"moderator"})
        elif change == "everywhere":
            await sign_out_everywhere(ambient, OPERATOR, ada)
        elif change.startswith("disabled"):
            await set_disabled(ambient, OPERATOR, ada, disabled=True)
            if change.endswith("enabled"):
                await set_disabled(ambient, OPERATOR, ada, disabled=False)
        elif change == "factor":
            house.word.who.clear()
        else:
            await ambient.database.execute("delete from accounts where id = $1", ada)
        answer = await finish(house, attempt)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_code")
        assert await house.rows("select * from sessions") == []


@asynccontextmanager
async def gate(database_url):
    """Holds the advisory lock `GATE`. Yields functions to wait until a session is queued for a lock, and to open it."""
    connection = await asyncpg.connect(database_url)

    async def someone_waits(kind):
        waiting = "select count(*) from pg_locks where locktype = $1 and not granted"
        async with asyncio.timeout(20):
            while not await connection.fetchval(waiting, kind):  # noqa: ASYNC110 — it happens in the database
                await asyncio.sleep(0.01)

    async def open_it():
        await connection.execute(f"select pg_advisory_unlock({GATE})")

    try:
        await connection.execute(f"select pg_advisory_lock({GATE})")
        yield someone_waits, open_it
    finally:
        await connection.close()


async def test_signing_out_everywhere_waits_for_a_step_and_ends_its_session(monkeypatch, shared_postgres_url):
    """The step has read the account but has not committed. Its session must not survive the other commit."""
    async with plugged(shared_postgres_url, monkeypatch) as house:
        attempt = await begin(house)
        house.word.while_offering = f"select pg_advisory_xact_lock({GATE})"  # after the read, before the session
        async with gate(shared_postgres_url) as (someone_waits, open_it):
            step = asyncio.ensure_future(finish(house, attempt))
            await someone_waits("advisory")
            signing_out = asyncio.ensure_future(sign_out_everywhere(house.ambient, OPERATOR, house.ada.id))
            await someone_waits("transactionid")
            assert not signing_out.done()
            await open_it()
        assert await signing_out == 1
        tokens = tokens_of(await step)
        assert not await house.is_let_in(tokens.access)
        assert (await house.refresh(tokens.refresh)).status_code == 401


async def test_unknown_used_and_malformed_attempts_get_identical_responses(sqlite_url, monkeypatch):
    """M03, J23: tokens of other kinds are not attempts, and they do not use up a try of the real one."""
    async with plugged(sqlite_url, monkeypatch) as house:
        attempt = await begin(house)
        tokens = await house.session(await house.person("bob@example.com"))
        random = house.ambient.random
        others = [
            "", "x", attempt[:-1], attempt + "0", attempt.upper(), tokens.access, tokens.refresh,
            new_token(Purpose.ATTEMPT, random).text, new_token(Purpose.VERIFY, random).text,
        ]  # fmt: skip
        wrong = await finish(house, attempt, WRONG)
        answers = [await finish(house, other) for other in others]
        assert {str(told(answer)) for answer in answers} == {str(told(wrong))}
        assert (await house.rows("select tries from sign_in_attempts"))[0][0] == 1


async def test_an_attempt_token_works_for_nothing_else(sqlite_url, monkeypatch):
    """M03, G6: it is neither an access nor a refresh token, wherever it is sent."""
    async with plugged(sqlite_url, monkeypatch) as house:
        attempt = await begin(house)
        assert (await house.get("/me", token=attempt)).status_code == 401
        assert (await house.refresh(attempt)).status_code == 401
        assert (await house.post("/email/verify", {"token": attempt})).status_code == 401
        assert (await house.post("/logout", {"refresh_token": attempt})).status_code == 204
        assert (await finish(house, attempt)).status_code == 200, "and none of it used it up"


async def test_an_attempt_cannot_be_finished_with_the_factor_of_another_account(sqlite_url, monkeypatch):
    async with plugged(sqlite_url, monkeypatch) as house:
        bob = await house.person("bob@example.com")
        house.word.who.add(bob.id)
        attempt = await begin(house)
        house.word.who.remove(house.ada.id)
        assert (await finish(house, attempt)).status_code == 401


async def test_fields_that_would_skip_a_step_are_refused(sqlite_url, monkeypatch):
    """M03: the client cannot declare what was proved."""
    async with plugged(sqlite_url, monkeypatch) as house:
        attempt = await begin(house)
        for field in ("mfa", "amr", "account_id", "second_proved", "transport", "password"):
            answer = await house.post("/login/word", {"attempt": attempt, "word": RIGHT, field: True})
            assert answer.status_code == 422
            body = {"email": EMAIL, "password": PASSWORD, "transport": "token"}
            assert (await house.post("/login", {**body, field: True})).status_code == 422
        assert await house.rows("select * from sessions") == []


async def test_a_check_refuses_before_anything_is_computed(sqlite_url, monkeypatch):
    async with plugged(sqlite_url, monkeypatch) as house:
        attempt = await begin(house)
        house.check.refuses = True
        answer = await finish(house, attempt)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
        assert house.word.finished == 0
        assert (await house.login()).status_code == 429


async def test_a_check_gets_the_outcome_of_attempts_that_it_allowed(sqlite_url, monkeypatch):
    async with plugged(sqlite_url, monkeypatch) as house:
        attempt = await begin(house)
        house.check.told.clear()
        await finish(house, attempt, WRONG)
        await house.login(password="a kettle that hums")
        await house.login("nobody@example.com")
        assert [told[2] for told in house.check.told] == [
            house.ada.id, Outcome.FAILED, None, Outcome.FAILED, None, Outcome.FAILED,
        ]  # fmt: skip


async def test_only_the_step_that_begins_the_session_counts_for_the_account(database_url, monkeypatch):
    """Who knows the password alone cannot use up the owner's sign-ins, and a refused code is not spent."""
    async with plugged(database_url, monkeypatch, SignInSettings(account_limit="2/hour")) as house:
        attempts = [await begin(house) for _ in range(4)]
        assert (await finish(house, attempts[0], WRONG)).status_code == 401
        codes = [(await finish(house, attempt)).status_code for attempt in attempts]
        assert codes == [200, 200, 429, 429]
        answer = await house.login()
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        house.clock.advance(1800)
        assert (await finish(house, await begin(house))).status_code == 200


async def test_a_completed_sign_in_returns_the_count_of_each_source(sqlite_url, monkeypatch):
    """A user who moves from Wi-Fi to a mobile network between the steps uses up no attempt of either source."""
    async with plugged(sqlite_url, monkeypatch, SignInSettings(limit="1/minute")) as house:
        for _ in range(3):
            attempt = await begin(house, source="192.0.2.1")
            assert (await house.login(source="192.0.2.1")).status_code == 429
            assert (await finish(house, attempt, source="192.0.2.2")).status_code == 200


async def test_second_steps_have_their_own_limit_per_source(sqlite_url, monkeypatch):
    """M02: ten per minute, across attempts."""
    async with plugged(sqlite_url, monkeypatch) as house:
        codes = []
        for _ in range(3):
            attempt = await begin(house)
            codes += [(await finish(house, attempt, WRONG, source="192.0.2.1")).status_code for _ in range(4)]
        assert codes == [401] * 10 + [429] * 2


FROM_ELSEWHERE = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {},
]


@pytest.mark.parametrize("headers", [SAME_ORIGIN, {"origin": ISSUER}, *FROM_ELSEWHERE], ids=str)
async def test_a_cookie_sign_in_can_only_be_finished_from_our_own_site(sqlite_url, monkeypatch, headers):
    """L16: an attacker must not be able to finish their own sign-in in the browser of a victim."""
    async with plugged(sqlite_url, monkeypatch) as house:
        attempt = await begin(house, transport="cookie", headers=SAME_ORIGIN)
        answer = await finish(house, attempt, headers=headers)
        if headers not in FROM_ELSEWHERE:
            assert answer.status_code == 200
            assert set(answer.json()) == {"expires_in", "session_id"}
            assert len(answer.headers.get_list("set-cookie")) == 3
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "cross_site_request")
            assert "set-cookie" not in answer.headers
            assert house.word.finished == 0
            assert (await finish(house, attempt, headers=SAME_ORIGIN)).status_code == 200


async def test_a_token_sign_in_can_be_finished_from_anywhere(sqlite_url, monkeypatch):
    async with plugged(sqlite_url, monkeypatch) as house:
        answer = await finish(house, await begin(house), headers={"origin": "https://elsewhere.example"})
        assert "refresh_token" in answer.json()
        assert "set-cookie" not in answer.headers


async def test_several_factors_are_offered_and_one_is_sufficient(sqlite_url, monkeypatch):
    one, other = Word(), Word("other_word", ("hwk",))
    monkeypatch.setattr(slices, "FEATURES", (Feature(name="toy", factors=(one, other)),))
    async with installation(sqlite_url) as house:
        person = await house.person()
        one.who.add(person.id)
        other.who.add(person.id)
        answer = await house.login()
        assert answer.json()["next"] == ["word", "other_word"]
        done = await house.post("/login/other-word", {"attempt": answer.json()["attempt"], "word": RIGHT})
        assert tokens_of(done).claims["amr"] == ["pwd", "hwk", "mfa"]
