"""A simulation of users who lose responses and have several tabs open, and of a thief who copies their tokens.

A model in plain Python decides which responses are correct. Hypothesis searches for a sequence of events in which
Ostiary, on a real database, returns something else. The responses to concurrent requests must match some order of them.

What this proves about the thief, and what it does not (C9). A token that is used after its grace period ends its
family, whether the owner or the thief uses it. So if two parties hold the same token and one uses it later than the
grace period after the other, the theft is detected. A thief without the token of the device that the session is bound
to is detected within the grace period too (see ``test_grace.py``). But a thief who has copied everything that the owner
has, and uses each token within the grace period of the owner's own use, before or after it, gets the same tokens as the
owner until the session ends. The last test here does this. Each such use leaves an audit event
``tokens.refresh_repeated`` and nothing else. Only ``tokens.refresh_grace = 0`` prevents this, but then every client
that loses a response is signed out.
"""

import asyncio
import copy
import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ostiary.core.accounts.model import MODERATOR, USER
from ostiary.core.accounts.service import set_roles
from ostiary.core.clock import MICROSECONDS
from ostiary.core.plug import Actor
from ostiary.core.sessions.service import sign_out_everywhere
from ostiary.errors import InvalidToken
from ostiary.settings import RevocationSettings, TokenSettings
from tests.core.installation import claims_of, installation, tokens_of

OPERATOR = Actor.operator("test")
GRACE = 10
SECONDS = (0, 0.001, 0.5, 3, GRACE - 0.001, GRACE, 25)
MOST_AT_ONCE = 2  # users: they do not affect each other, and more would find nothing new
SHRINKING = 400  # seconds: after a failure, hypothesis searches for the shortest example for up to 300
LOGOUT, REUSE, EVERYWHERE = "logout", "refresh_token_reused", "signed_out_everywhere"


@dataclass
class Model:
    """The expected state of a family of refresh tokens. Times are in microseconds."""

    grace: int
    newest: str
    spent: dict[str, int] = field(default_factory=dict)
    ended_by: str | None = None

    def admits(self, shown: str, answer: str | None, now: int) -> bool:
        """Whether ``answer`` (a refresh token, or None for 401) is correct for ``shown``. Updates the model."""
        if self.ended_by:
            return answer is None
        if shown == self.newest:
            self.spent[shown] = now
            self.newest = answer
            return answer is not None and answer not in self.spent
        if now - self.spent[shown] < self.grace:
            return answer == self.newest
        self.ended_by = REUSE
        return answer is None

    def end(self, reason: str) -> bool:
        self.ended_by = self.ended_by or reason
        return True


@dataclass
class Owner:
    """A user with one session. ``access`` has all access tokens that were ever issued for it. ``shown`` has the refresh
    tokens that were used while the session was alive, and when."""

    id: str
    email: str
    session_id: str
    model: Model
    epoch: int
    access: list[str]
    roles: frozenset[str] = frozenset({USER})
    shown: list[tuple[str, int]] = field(default_factory=list)
    raced_by_logout: bool = False


@dataclass
class Holder:
    """A tab or the thief: a party that holds tokens of an owner. The newest refresh token is the last one."""

    owner: Owner
    tokens: list[str]
    access: str

    @property
    def token(self) -> str:
        return self.tokens[-1]


class Simulation(RuleBasedStateMachine):
    """``house`` is the installation, ``run`` awaits, and ``tally`` counts the situations that occurred."""

    house, run, grace, tally, numbers = None, None, None, None, None
    any_one = st.integers(0, 11)
    waits = st.sampled_from(SECONDS)

    def __init__(self):
        super().__init__()
        self.owners: list[Owner] = []
        self.watched: list[Owner] = []
        self.holders: list[Holder] = []

    @property
    def alive(self) -> list[Holder]:
        """The holders with a live session. Tokens of ended sessions are all tried at the end."""
        return [holder for holder in self.holders if not holder.owner.model.ended_by]

    def holder(self, number: int) -> Holder:
        return self.alive[number % len(self.alive)]

    # -- what happens --------------------------------------------------------------------------------------------------

    @initialize(tabs=st.integers(2, 4))
    def a_user_signs_in(self, tabs):
        person = self.run(self.house.person(f"person{next(self.numbers)}@example.com"))
        tokens = self.run(self.house.session(person))
        model = Model(self.grace * MICROSECONDS, tokens.refresh)
        owner = Owner(*person, tokens.session_id, model, tokens.claims["ver"], [tokens.access])
        self.owners.append(owner)
        self.watched.append(owner)
        self.holders += [Holder(owner, [tokens.refresh], tokens.access) for _ in range(tabs)]

    @precondition(lambda self: sum(owner.model.ended_by is None for owner in self.owners) < MOST_AT_ONCE)
    @rule(tabs=st.integers(2, 4))
    def another_user_signs_in(self, tabs):
        self.a_user_signs_in(tabs)

    @precondition(lambda self: self.alive)
    @rule(who=any_one, after=waits, arrives=st.booleans())
    def a_holder_refreshes(self, who, after, arrives):
        """If the response does not arrive, the holder keeps its tokens and may retry at any time."""
        self.house.clock.advance(after)
        self.tally["answers lost"] += not arrives
        self.show(self.holder(who), arrives=arrives)

    @precondition(lambda self: self.alive)
    @rule(who=any_one, others=st.lists(any_one, min_size=1, max_size=2), after=waits)
    def several_holders_refresh_concurrently(self, who, others, after):
        self.house.clock.advance(after)
        self.show(*self.of_one_owner(who, *others))

    @precondition(lambda self: self.alive)
    @rule(who=any_one, other=any_one, after=waits)
    def two_holders_refresh_while_one_logs_out(self, who, other, after):
        self.house.clock.advance(after)
        self.show(*self.of_one_owner(who, other), logout=True)

    @precondition(lambda self: self.alive)
    @rule(who=any_one, other=any_one)
    def one_tab_takes_over_the_tokens_of_another(self, who, other):
        """Tabs share a storage and may or may not read it."""
        taker, giver = self.holder(who), self.holder(other)
        if taker.owner is giver.owner:
            taker.tokens.append(giver.token)
            taker.access = giver.access

    @precondition(lambda self: self.alive)
    @rule(who=any_one, age=st.integers(0, 3))
    def a_thief_copies(self, who, age):
        """The thief copies the tokens that a holder has, or had some refreshes ago, and becomes a holder too."""
        victim = self.holder(who)
        self.holders.append(Holder(victim.owner, [victim.tokens[-1 - min(age, len(victim.tokens) - 1)]], victim.access))

    @precondition(lambda self: self.alive)
    @rule(who=any_one, how=st.sampled_from(["roles", "roles", "access token", "refresh token", EVERYWHERE]))
    def something_is_revoked(self, who, how):
        holder = self.holder(who)
        if how == "roles":
            self.change_roles(holder.owner)
        elif how == EVERYWHERE:
            self.run(sign_out_everywhere(self.house.ambient, OPERATOR, holder.owner.id))
            holder.owner.epoch += 1
            holder.owner.model.end(EVERYWHERE)
        else:
            self.run(self.log_out(holder, by_access=how == "access token"))
            holder.owner.model.end(LOGOUT)

    # -- what must hold after each step, and for all at the end --------------------------------------------------------

    @invariant()
    def everything_matches_the_model(self):
        for owner in self.watched:
            self.each_token_has_one_child_and_one_is_unspent(owner)
            self.access_tokens_are_valid_as_long_as_session_and_epoch(owner)
            self.a_late_use_is_audited_once(owner)
        self.watched = [owner for owner in self.watched if not owner.model.ended_by]

    def each_token_has_one_child_and_one_is_unspent(self, owner):
        newest = self.rows("select generation, refresh_hash from sessions where id = $1", owner.session_id)
        assert newest == [(len(owner.model.spent) + 1, hashed(owner.model.newest))]
        expected = {} if owner.model.ended_by or not self.grace else owner.model.spent
        found = self.rows("select hash, spent_at from spent_refresh_tokens where session_id = $1", owner.session_id)
        assert dict(found) == {hashed(token): at for token, at in expected.items()}

    def access_tokens_are_valid_as_long_as_session_and_epoch(self, owner):
        """Checks every token that was ever issued: to a tab, to the thief, or in a lost response."""
        for token in owner.access:
            claims = claims_of(token)
            lives = owner.model.ended_by is None and claims["ver"] == owner.epoch
            if not lives or self.house.ambient.seconds() < claims["exp"]:
                assert self.opens(token) == lives

    def a_late_use_is_audited_once(self, owner):
        reused = "select count(*) from audit_events where session_id = $1 and type = 'tokens.refresh_token_reused'"
        assert self.rows(reused, owner.session_id) == [(owner.model.ended_by == REUSE,)]

    def teardown(self):
        for owner in self.owners:
            self.no_ended_session_is_valid_again(owner)
            self.the_history_explains_who_was_signed_out(owner)
        self.watched = self.owners
        self.everything_matches_the_model()
        mailed = Counter(mail.to for mail in self.run(self.house.mails()))
        assert all(mailed[owner.email] == (owner.model.ended_by == REUSE) for owner in self.owners), "mailed once"

    def no_ended_session_is_valid_again(self, owner):
        if owner.model.ended_by:
            for token in [*owner.model.spent, owner.model.newest]:
                assert self.run(self.house.refresh(token)).status_code == 401

    def the_history_explains_who_was_signed_out(self, owner):
        """Without the model: without a late use no session ends, and after any late use the family has ended."""
        first: dict[str, int] = {}
        late = False
        for token, at in owner.shown:
            late = late or (token in first and at - first[token] >= self.grace * MICROSECONDS)
            first.setdefault(token, at)
        ((reason,),) = self.rows("select end_reason from sessions where id = $1", owner.session_id)
        assert late if reason == REUSE else not late or owner.raced_by_logout
        self.tally[f"ended by {reason}"] += 1

    # -- how it is done ------------------------------------------------------------------------------------------------

    def of_one_owner(self, who: int, *others: int) -> list[Holder]:
        first = self.holder(who)
        return [first, *(other for other in map(self.holder, others) if other.owner is first.owner)]

    def change_roles(self, owner: Owner) -> None:
        change = {"remove" if MODERATOR in owner.roles else "add": {MODERATOR}}
        self.run(set_roles(self.house.ambient, OPERATOR, owner.id, **change))
        owner.roles ^= {MODERATOR}
        owner.epoch += 1

    def show(self, *holders: Holder, arrives: bool = True, logout: bool = False):
        """All holders use their tokens concurrently. Optionally the first one logs out at the same time."""
        owner, now = holders[0].owner, self.house.clock.now()
        shown = [holder.token for holder in holders]
        answers = self.run(self.ask(holders, logout=logout))
        if not owner.model.ended_by:
            owner.shown += [(token, now) for token in shown]
            owner.raced_by_logout = logout
        self.tally["repeated"] += sum(
            token in owner.model.spent for token, got in zip(shown, answers, strict=True) if got
        )
        happened = [lambda model, s=s, a=a: model.admits(s, a, now) for s, a in zip(shown, answers, strict=True)]
        if logout:
            happened.append(lambda model: model.end(LOGOUT))
        owner.model = explained(owner.model, happened)
        if arrives:
            for holder, answer in zip(holders, answers, strict=True):
                holder.tokens += [answer] if answer else []

    async def ask(self, holders: Sequence[Holder], *, logout: bool) -> list[str | None]:
        leaving = [self.log_out(holders[0], by_access=True)] if logout else []
        answers = await asyncio.gather(*map(self.refresh, holders), *leaving)
        return answers[: len(holders)]

    async def refresh(self, holder: Holder) -> str | None:
        owner, answer = holder.owner, await self.house.refresh(holder.token)
        if answer.status_code == 401:
            assert answer.json()["code"] == "invalid_token"
            return None
        tokens = tokens_of(answer)
        claims = tokens.claims
        assert (claims["sid"], claims["ver"], set(claims["roles"])) == (owner.session_id, owner.epoch, owner.roles)
        owner.access.append(tokens.access)
        return tokens.refresh

    async def log_out(self, holder: Holder, *, by_access: bool) -> None:
        token, body = (holder.access, None) if by_access else (None, {"refresh_token": holder.token})
        assert (await self.house.post("/logout", body, token=token)).status_code == 204

    def opens(self, access_token: str) -> bool:
        headers = [(b"authorization", f"Bearer {access_token}".encode())]
        try:
            return self.house.auth.authenticate(headers, method="GET") is not None
        except InvalidToken:
            return False

    def rows(self, sql, *args):
        return self.run(self.house.rows(sql, *args))


def hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def explained(model: Model, happened: Sequence[Callable[[Model], bool]]) -> Model:
    """The model after concurrent events, in the first order in which every response is correct."""
    for order in itertools.permutations(happened):
        trial = copy.deepcopy(model)
        if all(step(trial) for step in order):
            return trial
    raise AssertionError(f"no order explains the answers to {len(happened)} requests")


def simulate(database_url, *, grace, examples, steps) -> Counter[str]:
    """Returns how often each situation occurred."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        given = (
            TokenSettings(refresh_grace=grace),
            RevocationSettings(staleness=60),
        )  # the feed is not read while hypothesis is working
        house = runner.run(stack.enter_async_context(installation(database_url, *given)))
        tally: Counter[str] = Counter()
        parts = {"house": house, "run": staticmethod(runner.run), "tally": tally, "numbers": itertools.count()}
        try:
            run_state_machine_as_test(
                type("Here", (Simulation,), {"grace": grace, **parts}),
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=steps,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(stack.aclose())
    return tally


@pytest.mark.timeout(SHRINKING)
@pytest.mark.parametrize("grace", [GRACE, 0])
def test_uses_within_the_grace_period_succeed_and_late_uses_reveal_the_theft(sqlite_url, grace):
    """S01, S02, I4: with a grace period, and with strict rotation (RFC 9700 §4.14.2), where any second use is late."""
    tally = simulate(sqlite_url, grace=grace, examples=30, steps=30)
    assert_all_was_met(tally, grace)


@pytest.mark.slow
@pytest.mark.timeout(2 * SHRINKING)
@pytest.mark.parametrize("grace", [GRACE, 0])
def test_the_same_holds_in_many_long_simulations(sqlite_url, grace):
    tally = simulate(sqlite_url, grace=grace, examples=300, steps=60)
    assert_all_was_met(tally, grace)


def assert_all_was_met(tally: Counter[str], grace: int) -> None:
    """A simulation in which nothing happens proves nothing."""
    endings = [f"ended by {reason}" for reason in (REUSE, LOGOUT, EVERYWHERE, None)]
    assert min(tally[what] for what in (*endings, "answers lost")) > 0, tally
    assert (tally["repeated"] > 0) == (grace > 0), tally


async def test_a_thief_in_step_with_the_owner_is_not_detected_but_is_audited(sqlite_url):
    """C9: this documents the price of the grace period."""
    async with installation(sqlite_url) as house:
        owner = thief = await house.session(await house.person())
        for _ in range(20):
            house.clock.advance(15 * 60)
            owner = tokens_of(await house.refresh(owner.refresh))
            house.clock.advance(GRACE - 1)
            thief = tokens_of(await house.refresh(thief.refresh))
            assert thief.refresh == owner.refresh
        assert await house.events("tokens.refresh_token_reused") == []
        assert len(await house.events("tokens.refresh_repeated")) == 20
        house.clock.advance(15 * 60)
        owner = tokens_of(await house.refresh(owner.refresh))
        house.clock.advance(GRACE)
        assert (await house.refresh(thief.refresh)).status_code == 401
        assert not await house.is_let_in(owner.access), "out of step once, and the session ends for both"
