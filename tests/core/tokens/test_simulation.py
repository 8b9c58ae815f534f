"""A simulation: people whose answers get lost, who have several tabs open, and a thief who copies their tokens.

A model in plain Python says which answers are right; hypothesis looks for an order of events in which Ostiary, on a
real database, gives another. Requests at the same moment must have answers that some order of them explains.

What this proves of the thief, and what not (C9). A token that is shown later than the grace after it was first spent
ends its family, whoever shows it: of two who hold the same token, the one who comes later than the grace after the
other gives the theft away. A thief who lacks the token of a device that the session is bound to is found out within
the grace too: see ``test_grace.py``. But one who has copied all that the owner has, and shows each token within the
grace of the owner's own use, before it or after it, gets what the owner gets, and goes on until the session ends: the
last test here does so. Each such use leaves an audit event ``tokens.refresh_repeated`` and nothing else. Only
``tokens.refresh_grace = 0`` rules this out, at the price of signing out whoever loses an answer.
"""

import asyncio
import copy
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
from ostiary.core.opaque import Purpose, fingerprint
from ostiary.core.plug import Actor
from ostiary.core.sessions.service import sign_out_everywhere
from ostiary.errors import InvalidToken
from ostiary.settings import RevocationSettings, TokenSettings
from tests.core.installation import claims_of, installation, tokens_of

OPERATOR = Actor.operator("test")
GRACE = 10
SECONDS = (0, 0.001, 0.5, 3, GRACE - 0.001, GRACE, 25)
MOST_AT_ONCE = 2  # people: what they do to each other is nothing, and few meet more
SHRINKING = 400  # seconds: when it fails, hypothesis looks for the shortest story for up to 300
LOGOUT, REUSE, EVERYWHERE = "logout", "refresh_token_reused", "signed_out_everywhere"


@dataclass
class Model:
    """A family of refresh tokens as it must be. Times are in microseconds."""

    grace: int
    newest: str
    spent: dict[str, int] = field(default_factory=dict)
    ended_by: str | None = None

    def admits(self, shown: str, answer: str | None, now: int) -> bool:
        """Whether ``answer``, a refresh token or None for 401, is right for ``shown``; and goes on from there."""
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
    """A person with one session. ``access`` is every access token of it that ever was, ``shown`` which refresh token
    came when, as long as the session lasted."""

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
    """A tab, or the thief: whoever holds tokens of an owner. The newest refresh token is the last."""

    owner: Owner
    tokens: list[str]
    access: str

    @property
    def token(self) -> str:
        return self.tokens[-1]


class Simulation(RuleBasedStateMachine):
    """``house`` is where it happens, ``run`` awaits, ``tally`` counts what was met."""

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
        """Of what has ended, all is tried at the end."""
        return [holder for holder in self.holders if not holder.owner.model.ended_by]

    def holder(self, number: int) -> Holder:
        return self.alive[number % len(self.alive)]

    # -- what happens --------------------------------------------------------------------------------------------------

    @initialize(tabs=st.integers(2, 4))
    def somebody_signs_in(self, tabs):
        person = self.run(self.house.person(f"person{next(self.numbers)}@example.com"))
        tokens = self.run(self.house.session(person))
        model = Model(self.grace * MICROSECONDS, tokens.refresh)
        owner = Owner(*person, tokens.session_id, model, tokens.claims["ver"], [tokens.access])
        self.owners.append(owner)
        self.watched.append(owner)
        self.holders += [Holder(owner, [tokens.refresh], tokens.access) for _ in range(tabs)]

    @precondition(lambda self: sum(owner.model.ended_by is None for owner in self.owners) < MOST_AT_ONCE)
    @rule(tabs=st.integers(2, 4))
    def somebody_else_signs_in(self, tabs):
        self.somebody_signs_in(tabs)

    @precondition(lambda self: self.alive)
    @rule(who=any_one, after=waits, arrives=st.booleans())
    def one_refreshes(self, who, after, arrives):
        """When the answer does not arrive, it keeps what it has, and may try again at any time."""
        self.house.clock.advance(after)
        self.tally["answers lost"] += not arrives
        self.show(self.holder(who), arrives=arrives)

    @precondition(lambda self: self.alive)
    @rule(who=any_one, others=st.lists(any_one, min_size=1, max_size=2), after=waits)
    def several_refresh_at_once(self, who, others, after):
        self.house.clock.advance(after)
        self.show(*self.of_one_owner(who, *others))

    @precondition(lambda self: self.alive)
    @rule(who=any_one, other=any_one, after=waits)
    def two_refresh_while_one_of_them_logs_out(self, who, other, after):
        self.house.clock.advance(after)
        self.show(*self.of_one_owner(who, other), logout=True)

    @precondition(lambda self: self.alive)
    @rule(who=any_one, other=any_one)
    def one_takes_over_what_another_has(self, who, other):
        """Tabs share a storage, and may look into it or not."""
        taker, giver = self.holder(who), self.holder(other)
        if taker.owner is giver.owner:
            taker.tokens.append(giver.token)
            taker.access = giver.access

    @precondition(lambda self: self.alive)
    @rule(who=any_one, age=st.integers(0, 3))
    def a_thief_copies(self, who, age):
        """What somebody has, or had some refreshes ago. From then on the thief is a holder like others."""
        victim = self.holder(who)
        self.holders.append(Holder(victim.owner, [victim.tokens[-1 - min(age, len(victim.tokens) - 1)]], victim.access))

    @precondition(lambda self: self.alive)
    @rule(who=any_one, how=st.sampled_from(["roles", "roles", "access token", "refresh token", EVERYWHERE]))
    def something_is_taken_back(self, who, how):
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
    def all_is_as_it_must_be(self):
        for owner in self.watched:
            self.each_token_has_one_child_and_one_is_unspent(owner)
            self.access_tokens_open_as_long_as_session_and_epoch_last(owner)
            self.a_late_use_is_audited_once(owner)
        self.watched = [owner for owner in self.watched if not owner.model.ended_by]

    def each_token_has_one_child_and_one_is_unspent(self, owner):
        expected = {fingerprint(token, Purpose.REFRESH): at for token, at in owner.model.spent.items()}
        expected[fingerprint(owner.model.newest, Purpose.REFRESH)] = None
        found = self.rows("select hash, spent_at from refresh_tokens where session_id = $1", owner.session_id)
        assert dict(found) == expected

    def access_tokens_open_as_long_as_session_and_epoch_last(self, owner):
        """Each that was ever handed out: to a tab, to a thief, or into the void."""
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
            self.nothing_comes_back(owner)
            self.history_alone_tells_who_was_signed_out(owner)
        self.watched = self.owners
        self.all_is_as_it_must_be()
        mailed = Counter(mail.to for mail in self.run(self.house.mails()))
        assert all(mailed[owner.email] == (owner.model.ended_by == REUSE) for owner in self.owners), "mailed once"

    def nothing_comes_back(self, owner):
        if owner.model.ended_by:
            for token in [*owner.model.spent, owner.model.newest]:
                assert self.run(self.house.refresh(token)).status_code == 401

    def history_alone_tells_who_was_signed_out(self, owner):
        """Without the model: who was never late is not signed out, and whoever was late, the family has ended."""
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
        """Everybody shows what they hold, at once, while the first of them logs out or not."""
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


def explained(model: Model, happened: Sequence[Callable[[Model], bool]]) -> Model:
    """The model after what happened at once, in the first order in which every answer was right."""
    for order in itertools.permutations(happened):
        trial = copy.deepcopy(model)
        if all(step(trial) for step in order):
            return trial
    raise AssertionError(f"no order explains the answers to {len(happened)} requests")


def simulate(database_url, *, grace, examples, steps) -> Counter[str]:
    """Returns how often what was met."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        given = (
            TokenSettings(refresh_grace=grace),
            RevocationSettings(staleness=60),
        )  # the feed is not followed while hypothesis thinks
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
def test_who_is_within_the_grace_stays_and_who_is_late_gives_the_theft_away(sqlite_url, grace):
    """S01, S02, I4: with a grace, and with the strict rotation of RFC 9700 §4.14.2, where each second use is late."""
    tally = simulate(sqlite_url, grace=grace, examples=30, steps=30)
    assert_all_was_met(tally, grace)


@pytest.mark.slow
@pytest.mark.timeout(2 * SHRINKING)
@pytest.mark.parametrize("grace", [GRACE, 0])
def test_the_same_in_many_long_lives(sqlite_url, grace):
    tally = simulate(sqlite_url, grace=grace, examples=300, steps=60)
    assert_all_was_met(tally, grace)


def assert_all_was_met(tally: Counter[str], grace: int) -> None:
    """A simulation in which nothing happens proves nothing."""
    endings = [f"ended by {reason}" for reason in (REUSE, LOGOUT, EVERYWHERE, None)]
    assert min(tally[what] for what in (*endings, "answers lost")) > 0, tally
    assert (tally["repeated"] > 0) == (grace > 0), tally


async def test_a_thief_who_keeps_step_with_the_owner_is_not_found_out_but_is_recorded(sqlite_url):
    """C9: what the grace costs, so that nobody believes that it costs nothing."""
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
        assert not await house.is_let_in(owner.access), "out of step once, and both are out"
