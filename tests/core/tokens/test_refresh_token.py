"""The form of a refresh token, and what the session row says about one whose MAC is good."""

import asyncio
import base64
import re

from hypothesis import given
from hypothesis import strategies as st

from ostiary.core.entropy import SystemRandom, identifier
from ostiary.core.plug import Actor
from ostiary.core.tokens.refresh_token import new_token, read
from ostiary.core.vault import Vault
from ostiary.settings import SessionSettings, TokenSettings
from ostiary.store.hot import Rate
from tests.core.installation import SECRET, installation, opened, ostiary, tokens_of, told

RANDOM = SystemRandom()
VAULT = Vault([b"one master secret"], random=RANDOM)
SESSION = identifier("ses", RANDOM)
TOKEN = new_token(VAULT, SESSION, 7, RANDOM)
NEW_SECRET = "pQ3vX9mZ7tB5nK1cW8yL4rD6hJ2gF0sA-uE_iO5xT3k"
REUSED, BEHIND = "tokens.refresh_token_reused", "tokens.store_behind"


def test_a_token_states_its_session_and_generation():
    found = read(VAULT, TOKEN.text)
    assert found == TOKEN
    assert (found.session_id, found.generation) == (SESSION, 7)
    assert re.fullmatch(r"ostiary_refresh_[A-Za-z0-9_-]{110}", TOKEN.text), "secret scanners find it"


@given(place=st.integers(0, len(TOKEN.text) - 1), other=st.characters(max_codepoint=0x17F))
def test_a_token_with_one_other_character_is_not_ours(place, other):
    changed = TOKEN.text[:place] + other + TOKEN.text[place + 1 :]
    assert read(VAULT, changed) == (TOKEN if changed == TOKEN.text else None)


@given(st.binary(min_size=63, max_size=63))
def test_nobody_can_make_a_token_without_the_master_secret(raw):
    session, rest = TOKEN.text[16:42], base64.urlsafe_b64decode(TOKEN.text[42:])
    for forged in (raw, rest[:8] + raw[8:], rest[:47] + raw[47:]):
        assert read(VAULT, f"ostiary_refresh_{session}{base64.urlsafe_b64encode(forged).decode()}") is None


def test_a_token_does_not_fit_another_session():
    other = identifier("ses", RANDOM).removeprefix("ses_")
    assert read(VAULT, TOKEN.text[:16] + other + TOKEN.text[42:]) is None


def test_every_master_secret_reads_its_tokens_and_no_other_one_does():
    both = Vault([b"a newer master secret", b"one master secret"], random=RANDOM)
    assert read(both, TOKEN.text) == TOKEN
    newer = new_token(both, SESSION, 8, RANDOM)
    assert read(both, newer.text) == newer
    assert read(VAULT, newer.text) is None


async def test_tokens_stay_valid_while_the_master_secret_is_replaced(database_url):
    """Each step of the rotation as documented: both secrets, then the new one first, then the new one alone."""
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        for secret in (f"{SECRET} {NEW_SECRET}", f"{NEW_SECRET} {SECRET}"):
            server = ostiary(database_url, house.clock, house.outbox, secret=secret)
            async with opened(server, house.clock, house.outbox) as other:
                spent, tokens = tokens, tokens_of(await other.refresh(tokens.refresh))
                assert tokens_of(await other.refresh(spent.refresh)).refresh == tokens.refresh
                await other.auth.rewrap(Actor.operator("test"))
        async with opened(
            ostiary(database_url, house.clock, house.outbox, secret=NEW_SECRET), house.clock, house.outbox
        ) as last:
            tokens_of(await last.refresh(tokens.refresh))
            assert await house.events(REUSED) == []


async def test_a_forged_token_costs_no_statement(sqlite_url):
    async with installation(sqlite_url) as house:
        good = (await house.session(await house.person())).refresh
        forged = [
            good[:20] + ("A" if good[20] != "A" else "B") + good[21:],
            good[:-1] + ("A" if good[-1] != "A" else "B"),
        ]
        forged += [TOKEN.text, new_token(VAULT, SESSION, 1, RANDOM).text]
        statements = []
        house.watch(statements.append)
        answers = [await house.refresh(token) for token in forged]
        assert statements == []
        assert {answer.status_code for answer in answers} == {401}


async def test_a_refresh_is_three_statements(database_url):
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        statements = []
        house.watch(statements.append)
        await house.refresh(tokens.refresh)
        assert [sql.split()[0] for sql in statements] == ["begin", "update", "insert", "select"]


async def test_rows_are_bounded_by_sessions_and_not_by_refreshes(database_url):
    """A month of refreshes left thousands of rows."""
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        for _ in range(200):
            house.clock.advance(15 * 60)
            tokens = tokens_of(await house.refresh(tokens.refresh))
            await house.tidy()
        assert len(await house.rows("select * from spent_refresh_tokens")) <= 2
        assert await house.rows("select * from refresh_tokens") == []


async def test_a_token_that_was_spent_weeks_ago_still_reveals_the_theft(database_url):
    """No row says anything about it any more. Its MAC proves that it was ours, and its generation that it is old."""
    async with installation(database_url) as house:
        stolen = tokens = await house.session(await house.person())
        for _ in range(7):
            house.clock.advance(3 * 86400)
            tokens = tokens_of(await house.refresh(tokens.refresh))
            await house.tidy()
        assert len(await house.rows("select * from spent_refresh_tokens")) == 1
        assert (await house.refresh(stolen.refresh)).status_code == 401
        assert (await house.refresh(tokens.refresh)).status_code == 401
        assert len(await house.events(REUSED)) == 1
        assert len(await house.mails()) == 1


async def saved(house):
    """The row of the only session, as a backup would keep it."""
    return (await house.rows("select generation, refresh_hash from sessions"))[0]


async def go_back_to(house, state):
    await house.ambient.database.execute("update sessions set generation = $1, refresh_hash = $2", *state)
    await house.ambient.database.execute("delete from spent_refresh_tokens")


async def test_after_lost_history_the_newest_token_is_refused_and_no_session_ends(database_url):
    """A failover lost the last refreshes. Nobody stole anything: no mail, and the client signs in again."""
    async with installation(database_url) as house:
        first = await house.session(await house.person())
        backup = await saved(house)
        newest = tokens_of(await house.refresh(first.refresh))
        await go_back_to(house, backup)
        answer = await house.refresh(newest.refresh)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
        for _ in range(15):
            assert told(await house.refresh(newest.refresh)) == told(answer)
        assert await house.mails() == []
        assert len(await house.events(BEHIND)) == 10, "one holder cannot fill the audit log"
        assert await house.events(REUSED) == []
        tokens_of(await house.refresh(first.refresh))


async def test_two_histories_of_one_session_are_a_reuse(database_url):
    """The same generation was issued twice, to different holders."""
    async with installation(database_url) as house:
        first = await house.session(await house.person())
        backup = await saved(house)
        lost = tokens_of(await house.refresh(first.refresh))
        await go_back_to(house, backup)
        other = tokens_of(await house.refresh(first.refresh))
        assert other.refresh != lost.refresh
        assert (await house.refresh(lost.refresh)).status_code == 401
        assert (await house.refresh(other.refresh)).status_code == 401
        assert len(await house.events(REUSED)) == 1


async def test_a_token_of_another_history_does_not_get_the_successor(database_url):
    async with installation(database_url) as house:
        first = await house.session(await house.person())
        backup = await saved(house)
        lost = tokens_of(await house.refresh(first.refresh))
        await go_back_to(house, backup)
        other = tokens_of(await house.refresh(first.refresh))
        tokens_of(await house.refresh(other.refresh))
        assert (await house.refresh(lost.refresh)).status_code == 401
        assert len(await house.events(REUSED)) == 1


# -- the limit ---------------------------------------------------------------------------------------------------------


async def test_a_session_that_refreshes_all_the_time_is_limited_and_loses_nothing(database_url):
    """14 GiB a day, from one account. A refresh over the limit spends nothing, so the client can go on later."""
    async with installation(database_url, SessionSettings(refresh_limit=Rate(3, 60))) as house:
        person = await house.person()
        tokens, other = await house.session(person), await house.session(person)
        for _ in range(3):
            tokens = tokens_of(await house.refresh(tokens.refresh))
        answer = await house.refresh(tokens.refresh)
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "rate_limited", "20")
        assert (await house.refresh(other.refresh)).status_code == 200, "each session has its own limit"
        house.clock.advance(20)
        tokens = tokens_of(await house.refresh(tokens.refresh))
        assert (await house.refresh(tokens.refresh)).status_code == 429
        assert await house.events(REUSED) == []


async def test_repeats_within_the_grace_period_count_as_well(database_url):
    async with installation(database_url, SessionSettings(refresh_limit=Rate(3, 60))) as house:
        first = await house.session(await house.person())
        second = tokens_of(await house.refresh(first.refresh))
        for _ in range(2):
            assert tokens_of(await house.refresh(first.refresh)).refresh == second.refresh
        assert (await house.refresh(first.refresh)).status_code == 429
        assert (await house.refresh(second.refresh)).status_code == 429
        assert await house.events(REUSED) == []


async def test_the_limit_does_not_hide_a_thief(database_url):
    """A 429 in place of the reuse check would let a thief keep a stolen session by refreshing often."""
    settings = SessionSettings(refresh_limit=Rate(2, 60)), TokenSettings(refresh_grace=0)
    async with installation(database_url, *settings) as house:
        first = await house.session(await house.person())
        second = tokens_of(await house.refresh(first.refresh))
        third = tokens_of(await house.refresh(second.refresh))
        assert (await house.refresh(third.refresh)).status_code == 429
        assert (await house.refresh(first.refresh)).status_code == 401
        assert len(await house.events(REUSED)) == 1


async def test_concurrent_refreshes_never_exceed_the_limit(database_url):
    async with installation(database_url, SessionSettings(refresh_limit=Rate(5, 60))) as house:
        first = await house.session(await house.person())
        answers = await asyncio.gather(*(house.refresh(first.refresh) for _ in range(30)))
        assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 25


async def test_a_clock_that_was_set_back_does_not_block_a_session(database_url):
    """The counter would otherwise stay ahead of the clock until the clock has caught up."""
    async with installation(database_url) as house:
        tokens = await house.session(await house.person())
        house.clock.advance(7200)
        tokens = tokens_of(await house.refresh(tokens.refresh))
        house.clock.advance(-3600)
        tokens = tokens_of(await house.refresh(tokens.refresh))
        assert await house.is_let_in(tokens.access)


# -- clocks ------------------------------------------------------------------------------------------------------------


async def test_a_session_that_began_in_the_future_gets_no_tokens_until_then(database_url):
    """The refresh answered 200, and the server refused every token that it had issued."""
    async with installation(database_url) as house:
        person = await house.person()
        house.clock.advance(3600)
        tokens = await house.session(person)
        house.clock.advance(-3600)
        answer = await house.refresh(tokens.refresh)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
        house.clock.advance(3599)
        renewed = tokens_of(await house.refresh(tokens.refresh))
        assert await house.is_let_in(renewed.access), "a second of difference between two servers is normal"
        assert await house.events(REUSED) == []
