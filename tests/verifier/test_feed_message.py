"""The messages of a signed feed: which ones are accepted, and in which order."""

import json

import pytest

from ostiary.errors import BadSignature, ClaimRejected, InvalidToken, MalformedToken
from ostiary.jose import KeySet, SigningKey, sign
from ostiary.verifier.feed_message import (
    FEED_TYPE,
    MAX_FEED_MESSAGE,
    NODES_DIFFER,
    FeedEntry,
    FeedMessage,
    FeedProgress,
    Position,
    verify_feed_message,
)
from tests.verifier.material import ISSUER, KEY, LEEWAY, NOW

CLIENT = "client_orders"
ENTRY = ["session", "session-1", 0, NOW + 1000]


def claims(**changes):
    usual = {"iss": ISSUER, "aud": CLIENT, "iat": NOW, "generation": 1, "previous": 3, "current": 5, "more": False}
    return {name: value for name, value in {**usual, "entries": [ENTRY], **changes}.items() if value is not ...}


def read(payload=None, *, key=KEY, typ=FEED_TYPE, **changes):
    data = payload if isinstance(payload, bytes) else json.dumps(claims(**changes)).encode()
    token = sign(data, key, typ=typ, longest=2**20)
    return verify_feed_message(token, KeySet([KEY.public]), issuer=ISSUER, client_id=CLIENT)


def refused(error, payload=None, **parameters):
    with pytest.raises(InvalidToken) as caught:
        read(payload, **parameters)
    assert caught.type is error


def test_a_message_lists_what_was_revoked():
    message = read()
    assert message.entries == (FeedEntry("session", "session-1", 0, NOW + 1000),)
    assert (message.generation, message.previous, message.current, message.more) == (1, 3, 5, False)


def test_a_thousand_entries_with_long_ids_fit():
    entries = [["session", f"ses_{n:060d}", 2**53, NOW + n] for n in range(1000)]
    token = sign(json.dumps(claims(current=1003, entries=entries)).encode(), KEY, typ=FEED_TYPE, longest=2**20)
    assert len(token) < MAX_FEED_MESSAGE
    found = verify_feed_message(token, KeySet([KEY.public]), issuer=ISSUER, client_id=CLIENT)
    assert found.entries[999].key == entries[999][1]


def test_a_message_that_is_too_long_is_refused():
    refused(MalformedToken, padding="x" * MAX_FEED_MESSAGE)


@pytest.mark.parametrize("typ", ["at+jwt", "JWT", None, "statuslist+jwt", "logout+jwt"])
def test_another_kind_of_token_is_not_accepted_as_a_message(typ):
    refused(ClaimRejected, typ=typ)


def test_a_message_must_be_signed_with_the_issuers_key():
    refused(BadSignature, key=SigningKey.generate("ES256", kid=KEY.kid))
    refused(BadSignature, key=SigningKey.generate("ES256"))


@pytest.mark.parametrize(
    "changes", [{"iss": ISSUER + "/"}, {"iss": "https://evil"}, {"aud": "client_other"}, {"aud": ISSUER}]
)
def test_a_message_of_another_issuer_or_for_another_client_is_refused(changes):
    refused(ClaimRejected, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"current": 2},  # backwards
        {"current": 3},  # an entry without a number
        {"entries": [ENTRY] * 3},
        {"current": 3, "entries": [], "more": True},  # more entries, but the position does not advance
    ],
)
def test_numbers_that_do_not_match_the_entries_are_refused(changes):
    refused(ClaimRejected, **changes)


@pytest.mark.parametrize("changes", [{"current": 3, "entries": []}, {"entries": []}, {"entries": [], "more": True}])
def test_heartbeats_and_omitted_kinds_are_not_gaps(changes):
    assert read(**changes).entries == ()


@pytest.mark.parametrize(
    "changes",
    [{"iss": ...}, {"aud": ...}, {"aud": [CLIENT]}, {"iat": ...}, {"iat": NOW + 0.5}, {"iat": True}, {"iat": None},
     {"generation": "1"}, {"generation": -1}, {"previous": ...}, {"current": 2**64}, {"more": ...}, {"more": 0},
     {"entries": ...}, {"entries": {}}, {"entries": [["session"]]}, {"entries": [[*ENTRY, 1]]},
     {"entries": ["session"]},
     {"entries": [[5, "session-1", 0, NOW]]}, {"entries": [["session", None, 0, NOW]]},
     {"entries": [["session", "x", True, NOW]]}, {"entries": [["session", "x", -1, NOW]]},
     {"entries": [["session", "x", 0, 1.5]]}],
)  # fmt: skip
def test_missing_claims_and_wrong_types_are_refused(changes):
    refused(ClaimRejected, **changes)


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"iat":1,"iat":2}', b"\xff"])
def test_a_payload_that_is_not_a_strict_json_object_is_refused(payload):
    refused(MalformedToken, payload)


# -- order of messages -------------------------------------------------------------------------------------------------


def message(previous, current, *, generation=1, iat=NOW, more=False, mark=None, previous_mark=None):
    return FeedMessage(
        iss=ISSUER,
        aud=CLIENT,
        iat=iat,
        generation=generation,
        previous=previous,
        current=current,
        more=more,
        entries=(),
        mark=mark,
        previous_mark=previous_mark,
    )


def follow(progress, *messages, asked_at=NOW, now=NOW):
    for each in messages:
        progress.check(each, asked_at=asked_at, now=now)
        progress.advance(each)
    return progress


def follows(progress, each, **times):
    try:
        progress.check(each, **{"asked_at": NOW, "now": NOW, **times})
    except ClaimRejected:
        return False
    return True


def test_the_first_message_is_a_snapshot():
    assert not follows(FeedProgress(leeway=LEEWAY), message(1, 5))
    assert follow(FeedProgress(leeway=LEEWAY), message(0, 5)).position == Position(1, 5)


def test_a_message_continues_where_the_last_one_ended():
    progress = follow(FeedProgress(leeway=LEEWAY), message(0, 5), message(5, 5), message(5, 9))
    assert progress.position == Position(1, 9)
    for gap in (message(10, 12), message(8, 12), message(1, 12), message(9, 12, generation=2)):
        assert not follows(progress, gap)
    assert follows(progress, message(9, 12))


def test_a_message_of_another_history_does_not_continue_even_with_the_right_number():
    """The issuer's database lost entries in a failover, and other entries got their numbers."""
    progress = follow(FeedProgress(leeway=LEEWAY), message(0, 5, mark=7))
    assert progress.position == Position(1, 5, 7)
    assert str(progress.position) == "1.5.7"
    for other in (8, 0, None):
        assert not follows(progress, message(5, 6, mark=9, previous_mark=other))
    assert follows(progress, message(5, 6, mark=9, previous_mark=7))
    assert follows(progress, message(0, 6, mark=9))


def test_an_issuer_of_a_version_without_marks_is_followed():
    progress = follow(FeedProgress(leeway=LEEWAY), message(0, 5), message(5, 6))
    assert str(progress.position) == "1.6"
    assert follows(progress, message(6, 7))


def test_a_message_that_was_checked_but_not_applied_is_expected_again():
    progress = follow(FeedProgress(leeway=LEEWAY), message(0, 5))
    progress.check(message(5, 6), asked_at=NOW, now=NOW)
    assert progress.position == Position(1, 5)
    assert follows(progress, message(5, 6))


def test_a_snapshot_in_several_parts_is_accepted_if_it_gets_as_far_as_before():
    progress = follow(FeedProgress(leeway=LEEWAY), message(0, 2000), message(0, 1000, more=True))
    assert progress.position == Position(1, 1000)
    assert follows(progress, message(1000, 2000))
    assert not follows(progress, message(1000, 1999))


def test_s19_a_feed_that_goes_backwards_within_its_generation_is_refused():
    """An old database was restored without a new generation. It lacks the revocations made since."""
    progress = follow(FeedProgress(leeway=LEEWAY), message(0, 9))
    assert not follows(progress, message(0, 8))
    progress.restart()
    assert progress.position is None
    assert not follows(progress, message(0, 8))
    assert follows(progress, message(0, 9))


def test_a_new_generation_begins_with_a_snapshot_and_may_be_shorter():
    progress = follow(FeedProgress(leeway=LEEWAY), message(0, 9))
    assert not follows(progress, message(9, 10, generation=2))
    assert follow(progress, message(0, 2, generation=2)).position == Position(2, 2)
    assert not follows(progress, message(0, 1, generation=2))


def test_a_message_must_be_issued_between_the_request_and_now():
    progress = FeedProgress(leeway=LEEWAY)
    for iat, good in (
        (NOW - LEEWAY, True),
        (NOW - LEEWAY - 1, False),
        (NOW + 5 + LEEWAY, True),
        (NOW + 6 + LEEWAY, False),
    ):
        assert follows(progress, message(0, 5, iat=iat), asked_at=NOW, now=NOW + 5) is good
    for time in ({"asked_at": float("nan")}, {"now": float("nan")}):
        assert not follows(progress, message(0, 5), **time)


def test_s19_a_replayed_message_is_refused_even_if_it_is_recent():
    progress = follow(FeedProgress(leeway=LEEWAY), message(0, 5))
    assert follows(progress, message(5, 5, iat=NOW - NODES_DIFFER))
    assert not follows(progress, message(5, 5, iat=NOW - NODES_DIFFER - 1))
    progress.restart()
    assert not follows(progress, message(0, 5, iat=NOW - NODES_DIFFER - 1))


def test_after_a_refused_position_only_its_mark_is_given_up_and_then_all_of_it():
    progress = FeedProgress(leeway=LEEWAY)
    progress.advance(read(previous=0, mark=7))
    progress.retreat()
    assert progress.position == Position(1, 5)
    progress.check(read(previous=5, current=6), asked_at=NOW, now=NOW)
    progress.retreat()
    progress.retreat()
    assert progress.position is None
