"""When a key is published, signs, retires and is removed: the pure rules at their boundaries."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ostiary.core.tokens.keys.model import (
    JWKS_MAX_AGE,
    MOST_PUBLISHED,
    Activate,
    Confirm,
    KeyRecord,
    MakeFirst,
    MakeNext,
    Remove,
    State,
    Timing,
    may_still_sign,
    plan,
)
from ostiary.settings import KeySettings, RevocationSettings, TokenSettings
from ostiary.verifier import LEEWAY
from ostiary.verifier.verifier import MAX_LIFETIME
from tests.core.given import given as given_settings

SECOND = 1_000_000
T0 = 1_800_000_000 * SECOND
SETTINGS = given_settings(KeySettings(lifetime=90 * 86400))
TIMING = Timing.of(SETTINGS)


def key(kid, state, since=T0, activate_at=T0):
    return KeyRecord(kid, "ES256", state, T0, since, activate_at, b"sealed")


CURRENT = key("one", State.CURRENT)
DUE = T0 + TIMING.lifetime


def test_the_waits_cover_cached_jwks_copies_lagging_nodes_and_clock_skew():
    assert TIMING.overlap == (JWKS_MAX_AGE + SETTINGS.of(RevocationSettings).staleness + LEEWAY) * SECOND
    assert TIMING.retention >= TIMING.overlap + (MAX_LIFETIME + LEEWAY) * SECOND
    # a token signed with a retired key at the last allowed moment still verifies until it expires
    assert TIMING.farewell + (MAX_LIFETIME + LEEWAY) * SECOND < TIMING.retention


def test_the_longest_possible_lifetime_counts_not_the_current_one():
    """`tokens.access_lifetime` may have been shortened while tokens with a longer lifetime still exist."""
    assert Timing.of(given_settings(TokenSettings(access_lifetime=60))).retention == TIMING.retention


def test_the_notice_leaves_time_for_the_overlap_even_for_the_shortest_lifetime():
    for lifetime in (3600, 7200, 86400, 90 * 86400):
        timing = Timing.of(given_settings(KeySettings(lifetime=lifetime), RevocationSettings(staleness=60)))
        assert timing.overlap <= timing.notice < timing.lifetime


def test_without_a_current_key_one_is_created():
    assert plan([], T0, TIMING) == [MakeFirst()]


def test_a_state_is_confirmed_before_its_waiting_time_starts():
    unseen = key("one", State.CURRENT, since=None)
    assert plan([unseen], DUE * 2, TIMING) == [Confirm("one", State.CURRENT)]


def test_a_successor_is_created_at_the_notice_time_and_not_before():
    assert plan([CURRENT], DUE - TIMING.notice - 1, TIMING) == []
    assert plan([CURRENT], DUE - TIMING.notice, TIMING) == [MakeNext("one", activate_at=DUE)]


def test_the_successor_signs_when_it_is_due_and_not_before():
    following = key("two", State.NEXT, since=DUE - TIMING.notice, activate_at=DUE)
    assert plan([CURRENT, following], DUE - 1, TIMING) == []
    assert plan([CURRENT, following], DUE, TIMING) == [Activate("two", retiring="one")]


def test_a_late_successor_signs_only_after_the_whole_overlap():
    following = key("two", State.NEXT, since=DUE, activate_at=T0)
    assert plan([CURRENT, following], DUE + TIMING.overlap - 1, TIMING) == []
    assert plan([CURRENT, following], DUE + TIMING.overlap, TIMING) == [Activate("two", retiring="one")]


def test_a_successor_whose_publication_is_not_confirmed_never_signs():
    following = key("two", State.NEXT, since=None, activate_at=T0)
    assert plan([CURRENT, following], DUE * 2, TIMING) == [Confirm("two", State.NEXT)]


def test_a_retired_key_is_removed_one_retention_after_the_confirmed_switch():
    retired = key("zero", State.RETIRED)
    fresh = replace(CURRENT, since=T0 + TIMING.retention)
    assert plan([fresh, retired], T0 + TIMING.retention - 1, TIMING) == []
    assert plan([fresh, retired], T0 + TIMING.retention, TIMING) == [Remove("zero", State.RETIRED)]
    assert plan([fresh, replace(retired, since=None)], T0 + TIMING.retention * 2, TIMING) == [
        Confirm("zero", State.RETIRED)
    ]


def test_the_kid_of_a_revoked_key_is_removed_too():
    revoked = key("zero", State.REVOKED)
    fresh = replace(CURRENT, since=T0 + TIMING.retention)
    assert plan([fresh, revoked], T0 + TIMING.retention, TIMING) == [Remove("zero", State.REVOKED)]


def test_the_number_of_published_keys_is_limited_and_revoked_keys_do_not_count():
    retired = [key(f"r{n}", State.RETIRED, since=DUE) for n in range(MOST_PUBLISHED - 1)]
    revoked = [key(f"x{n}", State.REVOKED, since=DUE) for n in range(MOST_PUBLISHED)]
    assert plan([CURRENT, *retired], DUE, TIMING) == []
    assert plan([CURRENT, *retired[1:], *revoked], DUE, TIMING) == [MakeNext("one", activate_at=DUE)]


def test_a_node_that_cannot_read_the_new_key_may_use_the_old_one_for_a_limited_time():
    retired = key("one", State.RETIRED)
    assert may_still_sign(retired, T0 + TIMING.farewell - 1, TIMING)
    assert not may_still_sign(retired, T0 + TIMING.farewell, TIMING)
    assert may_still_sign(replace(retired, since=None), T0, TIMING)
    assert not may_still_sign(key("one", State.REVOKED), T0, TIMING)


records = st.builds(
    key,
    st.uuids().map(str),
    st.sampled_from(State),
    st.none() | st.integers(T0 - TIMING.lifetime * 2, T0 + TIMING.lifetime * 2),
    st.integers(T0 - TIMING.lifetime, T0 + TIMING.lifetime * 2),
)


@given(st.lists(records, max_size=30), st.integers(T0 - TIMING.lifetime * 3, T0 + TIMING.lifetime * 3))
def test_no_plan_breaks_a_rule_for_any_rows(keys, now):
    """One rule per line. This includes rows that never occur in practice and clocks that were set back."""
    by_kid = {record.kid: record for record in keys}
    for step in plan(keys, now, TIMING):
        match step:
            case Activate(kid, retiring):
                following = by_kid[kid]
                assert following.state is State.NEXT
                assert by_kid[retiring].state is State.CURRENT
                assert following.since + TIMING.overlap <= now
            case Remove(kid):
                assert by_kid[kid].state in {State.RETIRED, State.REVOKED}
                assert by_kid[kid].since + TIMING.retention <= now
            case MakeFirst():
                assert all(record.state is not State.CURRENT for record in keys)
            case MakeNext(current):
                assert by_kid[current].state is State.CURRENT
                assert all(record.state is not State.NEXT for record in keys)
            case Confirm(kid, state):
                assert (by_kid[kid].state, by_kid[kid].since) == (state, None)
