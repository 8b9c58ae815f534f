"""`KnownRevocations`: revoked tokens are refused until they expire, and then the entries are dropped."""

import pytest

from ostiary.errors import ConfigurationError, RevocationsUnknown, TokenRevoked
from ostiary.verifier import KnownRevocations
from tests.verifier.material import NOW, access_token, revocations

UNTIL = NOW + 1000


def is_good(known, **claims):
    try:
        known.check(access_token(**claims), NOW)
    except TokenRevoked:
        return False
    return True


def test_nothing_is_revoked_at_first():
    assert is_good(revocations())


def test_ending_a_session_revokes_its_tokens_and_no_others():
    known = revocations()
    known.end_session("session-1", UNTIL)
    assert not is_good(known)
    assert not is_good(known, jti="another")
    assert is_good(known, sid="session-2")
    assert is_good(known, sid="token-1", jti="session-1")


def test_revoking_a_token_affects_no_other_token():
    known = revocations()
    known.revoke_token("token-1", UNTIL)
    assert not is_good(known)
    assert is_good(known, jti="token-2")


@pytest.mark.parametrize(("ver", "good"), [(0, False), (3, False), (4, True), (5, True)])
def test_raising_an_epoch_revokes_older_tokens_and_keeps_newer_ones(ver, good):
    """A higher epoch is valid: the token arrived before the feed entry."""
    known = revocations()
    known.raise_epoch("acc_1", 4, UNTIL)
    assert is_good(known, ver=ver) is good
    assert is_good(known, ver=ver, sub="acc_2")


def test_an_epoch_is_never_lowered():
    known = revocations()
    for epoch in (4, 2, 4, 3):
        known.raise_epoch("acc_1", epoch, UNTIL)
    assert not is_good(known, ver=3)
    assert is_good(known, ver=4)


def test_every_token_is_refused_as_unknown_while_the_feed_is_stale():
    known = revocations(fresh=False)
    known.end_session("session-1", UNTIL)
    for sid in ("session-1", "session-2"):
        with pytest.raises(RevocationsUnknown):
            known.check(access_token(sid=sid), NOW)


def test_raising_the_global_epoch_revokes_the_older_tokens_of_all_accounts():
    known = revocations()
    known.raise_epoch("acc_1", 3, UNTIL)
    known.raise_everything(5)
    known.raise_epoch("acc_2", 4, UNTIL)
    known.raise_epoch("acc_3", 6, UNTIL)
    for sub in ("acc_1", "acc_2", "acc_4"):
        assert [is_good(known, sub=sub, ver=ver) for ver in (4, 5)] == [False, True]
    assert [is_good(known, sub="acc_3", ver=ver) for ver in (5, 6)] == [False, True]


def test_the_global_epoch_is_never_lowered_or_dropped():
    known = revocations()
    for epoch in (4, 2, 4, 3):
        known.raise_everything(epoch)
    known.raise_epoch("acc_1", 2, UNTIL)
    known.forget(UNTIL + 10**9)
    assert len(known) == 0
    assert [is_good(known, ver=ver) for ver in (3, 4)] == [False, True]


def test_serve_continues_with_known_revocations_but_still_reports_stale():
    known = KnownRevocations(fresh=lambda: False, when_stale="serve")
    known.end_session("session-1", UNTIL)
    assert not known.is_fresh
    assert not is_good(known)
    assert is_good(known, sid="session-2")


@pytest.mark.parametrize("choice", ["", "allow", "SERVE", True, None])
def test_when_stale_must_be_refuse_or_serve(choice):
    """A misspelt value must not count as either of them."""
    with pytest.raises(ConfigurationError, match="when_stale"):
        KnownRevocations(fresh=lambda: True, when_stale=choice)


REVOKE = {
    "session": lambda known, until: known.end_session("session-1", until),
    "token": lambda known, until: known.revoke_token("token-1", until),
    "epoch": lambda known, until: known.raise_epoch("acc_1", 4, until),
}


@pytest.mark.parametrize("kind", REVOKE)
def test_entries_are_kept_until_their_end_and_dropped_a_minute_later(kind):
    for until in range(UNTIL, UNTIL + 61, 7):
        known = revocations()
        REVOKE[kind](known, until)
        known.forget(until)
        assert not is_good(known)
        known.forget(until + 60)
        assert is_good(known)
        assert len(known) == 0


@pytest.mark.parametrize("kind", REVOKE)
def test_the_latest_end_counts_in_any_order_of_arrival(kind):
    for times in ((UNTIL, UNTIL + 600), (UNTIL + 600, UNTIL), (UNTIL, UNTIL + 600, UNTIL)):
        known = revocations()
        for until in times:
            REVOKE[kind](known, until)
        assert len(known) == 1
        known.forget(UNTIL + 300)
        assert not is_good(known)
        known.forget(UNTIL + 700)
        assert is_good(known)


@pytest.mark.parametrize("kind", REVOKE)
def test_repeating_an_entry_takes_no_memory(kind):
    known = revocations()
    for _ in range(1000):
        REVOKE[kind](known, UNTIL)
    assert (
        sum(len(names) for each in (known._sessions, known._tokens, known._accounts) for names in each._names.values())
        == 1
    )


def test_nothing_remains_after_all_entries_are_dropped():
    known = revocations()
    for number in range(1000):
        known.end_session(f"session-{number}", UNTIL + number)
        known.revoke_token(f"token-{number}", UNTIL + number)
        known.raise_epoch(f"acc_{number}", 1, UNTIL + number)
    assert len(known) == 3000
    known.forget(UNTIL + 1100)
    assert len(known) == 0
    assert not any(each._names or each for each in (known._sessions, known._tokens, known._accounts))
    assert not known._epochs


def test_names_whose_ends_arrive_in_any_order_are_dropped_without_an_error():
    """Nodes' clocks differ, so a later end may arrive first. One KeyError would stop the clean-up permanently."""
    known = KnownRevocations(fresh=lambda: True)
    known.raise_epoch("acc_1", 2, until=600)
    known.raise_epoch("acc_2", 2, until=300)
    known.raise_epoch("acc_1", 3, until=900)
    known.raise_epoch("acc_2", 3, until=200)
    for now in (100, 400, 700, 2000):
        known.forget(now)
    assert len(known) == 0


def test_a_name_with_a_later_end_before_an_earlier_bucket_existed_is_dropped_once():
    known = KnownRevocations(fresh=lambda: True)
    known.end_session("ses_b", until=600)
    known.end_session("ses_a", until=300)
    known.end_session("ses_a", until=600)
    known.forget(5000)
    assert len(known) == 0
