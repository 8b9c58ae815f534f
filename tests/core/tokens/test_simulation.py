"""A simulation: people whose answers get lost, who have several tabs open, and a thief who copies their tokens.

A model in plain Python says which answers are right; hypothesis looks for an order of events in which Ostiary, on a real
database, gives another. Requests at the same moment must have answers that some order of them explains.

What this proves of the thief, and what not (C9). A token that is shown later than the grace after it was first spent ends
its family, whoever shows it: of two who hold the same token, the one who comes later than the grace after the other gives
the theft away. A thief who lacks the token of a device that the session is bound to is found out within the grace too: see
``test_grace.py``. But one who has copied all that the owner has, and shows each token within the grace of the owner's own
use, before it or after it, gets what the owner gets, and goes on until the session ends: the last test here does so. Each
such use leaves an audit event ``tokens.refresh_repeated`` and nothing else. Only ``refresh_grace=0`` rules this out, at
the price of signing out whoever loses an answer.
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
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from ostiary.core.accounts.model import MODERATOR, USER
from ostiary.core.accounts.service import set_roles
from ostiary.core.clock import MICROSECONDS
from ostiary.core.opaque import Purpose, fingerprint
from ostiary.core.plug import Actor
from ostiary.core.sessions.service import sign_out_everywhere
from ostiary.errors import InvalidToken
from tests.core.installation import claims_of, installation, tokens_of

OPERATOR = Actor.operator("test")
GRACE = 10
SECONDS = (0.001, 0.5, 4, GRACE - 0.001, GRACE, GRACE + 0.001, 25)
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
    """A person with one session. ``access`` is every access token of it that ever was, ``shown`` what refresh token came
    when, as long as the session lasted."""

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
    tabs = Bundle("tabs")
    thieves = Bundle("thieves")

    def __init__(self):
        super().__init__()
        self.owners: list[Owner] = []

    # -- what happens --------------------------------------------------------------------------------------------------

    @rule(target=tabs, number=st.integers(1, 3))
    def somebody_signs_in(self, number):
        person = self.run(self.house.person(f"person{next(self.numbers)}@example.com"))
        tokens = self.run(self.house.session(person))
        model = Model(self.grace * MICROSECONDS, tokens.refresh)
        owner = Owner(*person, tokens.session_id, model, tokens.claims["ver"], [tokens.access])
        self.owners.append(owner)
        return multiple(*(Holder(owner, [tokens.refresh], tokens.access) for _ in range(number)))

    @rule(seconds=st.sampled_from(SECONDS))
    def time_passes(self, seconds):
        self.house.clock.advance(seconds)

    @rule(tab=tabs, arrives=st.booleans())
    def a_tab_refreshes(self, tab, arrives):
        """When the answer does not arrive, the tab keeps what it has, and may try again at any time."""
        self.tally["answers lost"] += not arrives
        self.show(tab, arrives=arrives)

    @rule(tab=tabs, other=tabs)
    def a_tab_takes_over_what_another_has(self, tab, other):
        if tab.owner is other.owner:
            tab.tokens.append(other.token)
            tab.access = other.access

    @rule(target=thieves, tab=tabs, age=st.integers(0, 3))
    def a_thief_copies(self, tab, age):
        """What the tab has, or had some refreshes ago."""
        return Holder(tab.owner, [tab.tokens[-1 - min(age, len(tab.tokens) - 1)]], tab.access)

    @rule(thief=thieves)
    def a_thief_shows_what_it_has(self, thief):
        self.show(thief)

    @rule(first=st.one_of(tabs, thieves), others=st.lists(st.one_of(tabs, thieves), min_size=1), logout=st.booleans())
    def several_at_once(self, first, others, logout):
        self.show(first, *[other for other in others[:2] if other.owner is first.owner], logout=logout)

    @rule(tab=tabs)
    def the_roles_change(self, tab):
        owner = tab.owner
        change = {"remove" if MODERATOR in owner.roles else "add": {MODERATOR}}
        self.run(set_roles(self.house.ambient, OPERATOR, owner.id, **change))
        owner.roles ^= {MODERATOR}
        owner.epoch += 1

    @rule(holder=st.one_of(tabs, thieves), by_access=st.booleans())
    def somebody_logs_out(self, holder, by_access):
        self.run(self.log_out(holder, by_access=by_access))
        holder.owner.model.end(LOGOUT)

    @rule(tab=tabs)
    def somebody_signs_out_everywhere(self, tab):
        self.run(sign_out_everywhere(self.house.ambient, OPERATOR, tab.owner.id))
        tab.owner.model.end(EVERYWHERE)
        tab.owner.epoch += 1

    # -- what must hold after each step --------------------------------------------------------------------------------

    @invariant()
    def each_token_has_one_child_and_one_is_unspent(self):
        for owner in self.owners:
            model = owner.model
            expected = {fingerprint(token, Purpose.REFRESH): at for token, at in model.spent.items()}
            expected[fingerprint(model.newest, Purpose.REFRESH)] = None
            found = self.rows("select hash, spent_at from refresh_tokens where session_id = $1", owner.session_id)
            assert dict(found) == expected

    @invariant()
    def access_tokens_open_as_long_as_session_and_epoch_last(self):
        """Each that was ever handed out: to a tab, to a thief, or into the void."""
        for owner in self.owners:
            for token in owner.access:
                claims = claims_of(token)
                lives = owner.model.ended_by is None and claims["ver"] == owner.epoch
                if not lives or self.house.ambient.seconds() < claims["exp"]:
                    assert self.opens(token) == lives

    @invariant()
    def a_late_use_is_audited_once(self):
        for owner in self.owners:
            reused = "select count(*) from audit_events where session_id = $1 and type = 'tokens.refresh_token_reused'"
            assert self.rows(reused, owner.session_id) == [(owner.model.ended_by == REUSE,)]

    # -- and at the end ------------------------------------------------------------------------------------------------

    def teardown(self):
        for owner in self.owners:
            self.nothing_comes_back(owner)
            self.history_alone_tells_who_was_signed_out(owner)
        mailed = Counter(mail.to for mail in self.run(self.house.mails()))
        assert all(mailed[owner.email] == (owner.model.ended_by == REUSE) for owner in self.owners), "mailed once"

    def nothing_comes_back(self, owner):
        if owner.model.ended_by:
            for token in [*owner.model.spent, owner.model.newest]:
                assert self.run(self.house.refresh(token)).status_code == 401
            self.a_late_use_is_audited_once()

    def history_alone_tells_who_was_signed_out(self, owner):
        """Without the model: who was never late is not signed out, and whoever was late, the family has ended."""
        first: dict[str, int] = {}
        late = False
        for token, at in owner.shown:
            late = late or token in first and at - first[token] >= self.grace * MICROSECONDS
            first.setdefault(token, at)
        ((reason,),) = self.rows("select end_reason from sessions where id = $1", owner.session_id)
        assert late if reason == REUSE else not late or owner.raced_by_logout
        self.tally[f"ended by {reason}"] += 1

    # -- how it is done ------------------------------------------------------------------------------------------------

    def show(self, *holders: Holder, arrives: bool = True, logout: bool = False):
        """Everybody shows what they hold, at once, while the first of them logs out or not."""
        owner, now = holders[0].owner, self.house.clock.now()
        shown = [holder.token for holder in holders]
        answers = self.run(self.ask(holders, logout=logout))
        if not owner.model.ended_by:
            owner.shown += [(token, now) for token in shown]
            owner.raced_by_logout = logout
        self.tally["repeated"] += sum(token in owner.model.spent for token, got in zip(shown, answers, strict=True) if got)
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
        headers = [("authorization", f"Bearer {access_token}")]
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
        given = {"refresh_grace": grace, "feed_staleness": 60}  # the feed is not followed while hypothesis thinks
        house = runner.run(stack.enter_async_context(installation(database_url, **given)))
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


@pytest.mark.parametrize("grace", [GRACE, 0])
def test_owners_stay_and_thieves_are_found_out(sqlite_url, grace):
    tally = simulate(sqlite_url, grace=grace, examples=40, steps=30)
    print(tally)
