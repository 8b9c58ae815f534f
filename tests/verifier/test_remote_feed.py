"""The signed feed of a remote issuer: revocations arrive quickly, silence refuses tokens, forgeries are detected."""

import asyncio
import itertools
import os
import threading
import time
import traceback
import warnings

import pytest

from ostiary.errors import BadSignature, ConfigurationError, RevocationsUnknown, TokenRevoked
from ostiary.jose import SigningKey, sign
from ostiary.verifier import (
    ClientCredentials,
    KnownRevocations,
    RemoteKeys,
    RemoteVerifier,
    RevocationFeed,
    TokenAuthenticator,
    Verifier,
    encode_access_token,
)
from ostiary.verifier.remote import feed as following
from ostiary.verifier.remote.feed import STALE_AFTER
from ostiary.verifier.remote.keys import COOL_DOWN_OF_ISSUER
from tests.verifier.feeds import CLIENT_ID, FAR, FEED, SECRET, Feed, basic
from tests.verifier.issuers import JWKS, METADATA, Issuer, json_answer
from tests.verifier.material import AUDIENCE, KEY, LEEWAY, NOW, access_token
from tests.verifier.test_remote_keys import Monotonic

NEXT = SigningKey.generate("ES256")


class Setting:
    """An issuer with a feed, and a verifier of its tokens. The test moves the clocks."""

    def __init__(self, issuer, *, secret=SECRET, **parameters):
        self.issuer = issuer
        self.feed = Feed(issuer)
        self.monotonic = Monotonic()
        self.keys = RemoteKeys(issuer.url, development=True, monotonic=self.monotonic)
        self.follower = RevocationFeed(
            self.keys, ClientCredentials(CLIENT_ID, secret), clock=self.clock, monotonic=self.monotonic,
            **{"leeway": LEEWAY, **parameters},
        )  # fmt: skip
        made = {"issuer": issuer.url, "audience": AUDIENCE, "clock": self.clock, "revocations": self.follower}
        self.verifier = RemoteVerifier(self.keys, lambda key_set: Verifier(keys=key_set, **made), feed=self.follower)
        self.pure = Verifier(keys=[KEY.public], **made)

    def clock(self):
        return self.feed.now

    def token(self, key=KEY, **claims):
        return sign(encode_access_token(access_token(iss=self.issuer.url, **claims)), key, typ="at+jwt")

    def verify(self, key=KEY, **claims):
        return self.verifier.verify(self.token(key, **claims))

    def state(self, **claims):
        """The state of a token with these claims: good, revoked or unknown."""
        try:
            self.verify(**claims)
        except TokenRevoked:
            return "revoked"
        except RevocationsUnknown:
            return "unknown"
        return "good"

    def is_good(self, **claims):
        return self.state(**claims) == "good"

    def is_revoked(self, **claims):
        return self.state(**claims) == "revoked"

    def is_unknown(self, **claims):
        return self.state(**claims) == "unknown"

    def comes_true(self, condition, *, within=8.0):
        """Waits in real time, because the thread that follows the feed does."""
        deadline = time.monotonic() + within
        while not condition():
            assert time.monotonic() < deadline, condition
            time.sleep(0.005)

    def hears(self, messages=2):
        """Waits for that many further requests. All answers except the last have then been applied."""
        before = len(self.feed.asked)
        self.comes_true(lambda: len(self.feed.asked) >= before + messages)

    def goes_silent(self):
        """From now on every request fails."""
        self.issuer.answers.pop(FEED)
        asked = self.issuer.asked[FEED]
        self.comes_true(lambda: self.issuer.asked[FEED] > asked)

    def speaks_again(self):
        self.issuer.answers[FEED] = self.feed.answer


@pytest.fixture
def setting():
    with Issuer() as issuer:
        made = Setting(issuer)
        yield made
        made.follower.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(following, "MOST_RETRY", 0.2)


# -- basics ------------------------------------------------------------------------------------------------------------


def test_earlier_revocations_are_known_with_the_first_token(setting):
    setting.feed.tell("session", "session-1")
    setting.feed.tell("token", "token-2")
    setting.feed.tell("epoch", "acc_2", 4)
    assert not setting.issuer.asked
    assert setting.is_revoked(sid="session-1")
    assert setting.is_revoked(sid="s", jti="token-2")
    assert setting.is_revoked(sid="s", sub="acc_2", ver=3)
    assert setting.verify(sid="s", sub="acc_2", ver=4).jti == "token-1"
    assert setting.issuer.asked[METADATA] == 2  # once for the keys, once for the feed
    assert setting.feed.asked[0] == {"wait": "0"}


@pytest.mark.parametrize(
    ("entry", "gone", "good"),
    [
        (("session", "session-1"), {}, {"sid": "session-2"}),
        (("token", "token-1"), {}, {"jti": "token-2"}),
        (("epoch", "acc_1", 4), {"ver": 3}, {"ver": 4}),
        (("everything", "", 100), {"ver": 99}, {"ver": 100}),
    ],
)
def test_a_revocation_takes_effect_almost_immediately(setting, entry, gone, good):
    setting.feed.patience = 5  # the client does not ask again in between: the issuer answers its open request
    assert setting.verify(**gone).iss == setting.issuer.url
    setting.comes_true(lambda: len(setting.feed.asked) == 2)
    told_at = time.monotonic()
    setting.feed.tell(*entry)
    setting.comes_true(lambda: setting.is_revoked(**gone))
    assert time.monotonic() - told_at < 1
    assert setting.verify(**good).iss == setting.issuer.url


def test_verifier_remote_follows_the_feed_if_it_has_credentials(setting):
    setting.feed.tell("session", "session-1")
    issuer = setting.issuer.url
    credentials = ClientCredentials(CLIENT_ID, SECRET)
    with Verifier.remote(
        issuer, audience=AUDIENCE, development=True, clock=setting.clock, feed=credentials
    ) as verifier:
        verifier.refresh()
        with pytest.raises(TokenRevoked):
            verifier.verify(setting.token())
        assert verifier.verify(setting.token(sid="s")).sub == "acc_1"
    with pytest.raises(RevocationsUnknown):
        verifier.verify(setting.token(sid="s"))


def test_invalid_parameters_are_refused_by_the_constructor():
    credentials = ClientCredentials("client_1", "s")
    known = KnownRevocations(fresh=lambda: True)
    for wrong in (
        {"feed": credentials, "revocations": known},
        {"feed": ("client_1", "s")},
        {"feed": credentials, "when_stale": "never"},
    ):
        with pytest.raises(ConfigurationError):
            Verifier.remote("https://auth.example.com", audience="a", **wrong)
    keys = RemoteKeys("https://auth.example.com")
    for wrong in ({"stale_after": 2.9}, {"stale_after": 76}, {"stale_after": float("nan")}, {"leeway": -1}):
        with pytest.raises(ConfigurationError):
            RevocationFeed(keys, credentials, **wrong)
    for pair in (("", "s"), ("c", ""), (None, "s"), ("c", b"s")):
        with pytest.raises(ConfigurationError):
            ClientCredentials(*pair)


def test_kinds_of_a_later_version_are_ignored(setting):
    setting.feed.tell("balloon", "session-2", 5)
    setting.feed.tell("session", "session-1")
    assert setting.is_revoked()
    assert setting.verify(sid="session-2").sub == "acc_1"


def test_a_verifier_with_local_keys_can_follow_a_feed(setting):
    setting.feed.tell("session", "session-1")
    with pytest.raises(TokenRevoked):
        setting.pure.verify(setting.token())
    assert setting.pure.verify(setting.token(sid="s")).sub == "acc_1"


# -- start -------------------------------------------------------------------------------------------------------------


def test_s19_tokens_are_refused_until_the_snapshot_is_complete(setting):
    let_go = threading.Event()
    for number in range(25):
        setting.feed.tell("session", f"session-{number}")
    setting.feed.limit = 10
    setting.feed.forge = lambda claims: (claims["more"] or let_go.wait(10)) and claims
    waiting = threading.Thread(target=lambda: found.append(setting.is_revoked(sid="session-24")))
    found = []
    waiting.start()
    setting.comes_true(lambda: len(setting.feed.asked) == 3)
    assert not setting.follower.is_fresh
    assert found == []
    let_go.set()
    waiting.join(10)
    assert found == [True]
    positions = [None, setting.feed.position(10), setting.feed.position(20)]
    assert [asked.get("after") for asked in setting.feed.asked[:3]] == positions
    assert setting.is_revoked(sid="session-0")


def test_many_threads_wait_for_one_snapshot(setting):
    """The first requests of a Flask app: each waits in its own thread."""
    setting.feed.forge = lambda claims: time.sleep(0.2) or claims
    token, found = setting.token(), []
    threads = [threading.Thread(target=lambda: found.append(setting.verifier.verify(token))) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [claims.sub for claims in found] == ["acc_1"] * 32
    assert [asked for asked in setting.feed.asked if "after" not in asked] == [{"wait": "0"}]
    assert sum(thread.name == "ostiary-feed" for thread in threading.enumerate()) == 1


def test_without_a_first_answer_tokens_are_refused_and_callers_wait_only_once(setting):
    setting.issuer.answers.pop(FEED)
    assert setting.is_unknown()
    start = time.monotonic()
    for _ in range(50):
        assert setting.is_unknown()
    assert time.monotonic() - start < 2
    setting.speaks_again()
    setting.comes_true(setting.is_good)


async def test_verify_async_awaits_the_feed_without_blocking_the_loop(setting):
    setting.feed.tell("session", "session-1")
    setting.feed.forge = lambda claims: time.sleep(0.2) or claims
    waiting = asyncio.gather(*(setting.verifier.verify_async(setting.token(sid="s")) for _ in range(32)))
    turns = 0
    while not waiting.done():
        turns += 1
        await asyncio.sleep(0.01)
    assert [claims.sub for claims in await waiting] == ["acc_1"] * 32
    assert turns > 5
    with pytest.raises(TokenRevoked):
        await setting.verifier.verify_async(setting.token())
    with pytest.raises(TokenRevoked):
        await setting.pure.verify_async(setting.token())
    headers = [(b"authorization", f"Bearer {setting.token(sid='s')}".encode())]
    for authenticator in (setting.verifier, TokenAuthenticator(setting.pure)):
        assert (await authenticator.authenticate_async(headers, method="GET")).account_id == "acc_1"


async def test_verify_does_not_block_an_event_loop(setting):
    let_go = threading.Event()
    setting.feed.forge = lambda claims: let_go.wait(10) and claims
    with pytest.raises(RevocationsUnknown, match="event loop") as caught:
        setting.pure.verify(setting.token())
    assert (caught.value.status, caught.value.retry_after) == (503, 1)
    let_go.set()
    await setting.verifier.refresh_async()
    assert setting.pure.verify(setting.token()).sub == "acc_1"


# -- silence -----------------------------------------------------------------------------------------------------------


def test_s19_tokens_are_refused_after_ten_seconds_without_an_answer(setting):
    setting.verify()
    setting.goes_silent()
    fresh_until = setting.follower._fresh_until
    setting.monotonic.now = fresh_until - 0.001
    setting.verify()
    setting.monotonic.now = fresh_until
    assert setting.is_unknown()
    assert not setting.follower.is_fresh


def test_s19_an_answer_counts_from_the_time_of_its_request(setting):
    """Otherwise an attacker who delays an answer for a minute would delay every revocation for a minute."""
    setting.verify()

    def held_back(claims):
        setting.monotonic.now += STALE_AFTER
        return claims

    setting.feed.forge = held_back
    setting.comes_true(setting.is_unknown)
    setting.hears(3)
    assert setting.is_unknown()
    setting.feed.forge = lambda claims: claims
    setting.comes_true(setting.is_good)


def test_revocations_made_during_an_outage_are_known_afterwards(setting):
    setting.verify()
    setting.goes_silent()
    setting.monotonic.now += STALE_AFTER
    assert setting.is_unknown()
    setting.feed.tell("session", "session-1")
    setting.speaks_again()
    setting.comes_true(setting.is_revoked)
    assert [asked for asked in setting.feed.asked if "after" not in asked] == [{"wait": "0"}]  # one snapshot


def test_a_closed_connection_is_opened_again(setting):
    setting.verify()
    calls = []

    def cut(query, headers):
        calls.append(query)
        return (200, {"content-type": "application/jwt", "content-length": "5000"}, b"ey")

    setting.issuer.answers[FEED] = cut
    setting.comes_true(lambda: len(calls) >= 2)
    setting.feed.tell("session", "session-1")
    setting.speaks_again()
    setting.comes_true(setting.is_revoked)


def test_serve_continues_with_known_revocations_but_not_before_the_first_snapshot():
    with Issuer() as issuer:
        setting = Setting(issuer, when_stale="serve")
        setting.feed.tell("session", "session-1")
        answer = issuer.answers.pop(FEED)
        assert setting.is_unknown(sid="s")
        issuer.answers[FEED] = answer
        setting.comes_true(lambda: setting.is_good(sid="s"))
        setting.goes_silent()
        setting.monotonic.now += 100 * STALE_AFTER
        assert setting.is_revoked()
        assert setting.verify(sid="s").sub == "acc_1"
        assert not setting.follower.is_fresh
        setting.follower.close()
        assert setting.is_revoked()
        assert setting.verify(sid="s").sub == "acc_1"


# -- forged messages ---------------------------------------------------------------------------------------------------


def forging(**changes):
    return lambda feed: setattr(feed, "forge", lambda claims: {**claims, **changes})


LIES = {
    "of another issuer": forging(iss="https://evil.example"),
    "for another client": forging(aud="client_other"),
    "from before the request": forging(iat=NOW - LEEWAY - 1),
    "from before the last one": forging(iat=NOW - 3),
    "from the future": forging(iat=NOW + LEEWAY + 1),
    "a gap": forging(previous=10**6, current=10**6),
    "a snapshot that goes backwards": forging(previous=0, current=1, entries=[]),
    "another generation without a snapshot": forging(generation=2, previous=2),
    "more entries than numbers": forging(entries=[["session", "x", 0, FAR]] * 5),
    "without its numbers": forging(previous=None),
    "an access token": lambda feed: setattr(feed, "typ", "at+jwt"),
    "without a type": lambda feed: setattr(feed, "typ", None),
    "signed with an unknown key": lambda feed: setattr(feed, "key", NEXT),
    "signed with a forged key of the same kid": lambda feed: setattr(
        feed, "key", SigningKey.generate("ES256", kid=KEY.kid)
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_s19_a_forged_message_is_not_applied_and_tokens_are_refused_until_a_new_snapshot(setting, name):
    setting.feed.tell("session", "session-1")
    setting.feed.tell("session", "session-2")
    setting.verify(sid="s")
    LIES[name](setting.feed)
    setting.comes_true(lambda: setting.is_unknown(sid="s"))
    setting.hears(2)
    assert setting.is_unknown(sid="s")
    assert "after" not in setting.feed.asked[-1]
    honest = Feed(setting.issuer)
    honest.head, honest.entries, honest.marks = setting.feed.head, setting.feed.entries, setting.feed.marks
    setting.comes_true(lambda: setting.is_good(sid="s"))
    assert setting.is_revoked(sid="session-2")
    assert setting.verify(sid="x").sub == "acc_1"


@pytest.mark.parametrize("media", ["application/json", "text/html", ""])
def test_an_answer_with_another_content_type_is_ignored(setting, media):
    setting.verify()
    setting.feed.media = media
    setting.feed.tell("session", "session-1")
    setting.hears(3)
    assert setting.is_good()
    setting.monotonic.now += STALE_AFTER
    assert setting.is_unknown()


@pytest.mark.parametrize("body", [b"", b"x" * 300_000, b"\xff", b"a.b.c"])
def test_the_feed_recovers_after_garbage(setting, body):
    setting.verify()
    asked = []
    setting.issuer.answers[FEED] = lambda *_: asked.append(1) or (200, {"content-type": "application/jwt"}, body)
    setting.comes_true(lambda: len(asked) >= 3)
    setting.speaks_again()
    setting.feed.tell("session", "session-1")
    setting.comes_true(setting.is_revoked)


def test_a_failover_of_the_issuer_that_lost_entries_hides_no_revocation(setting):
    """The entries that it lost and the new ones have the same numbers."""
    for number in (1, 2, 3):
        setting.feed.tell("session", f"session-{number}")
    assert setting.is_revoked(sid="session-3")
    with setting.feed.told:
        setting.feed.lose(1)
        setting.feed.tell("session", "new-3")
    setting.comes_true(lambda: setting.is_revoked(sid="new-3"))
    with setting.feed.told:
        setting.feed.lose(2)
        for number in (2, 3, 4):
            setting.feed.tell("session", f"newer-{number}")
    setting.comes_true(lambda: setting.is_revoked(sid="newer-4"))
    assert {setting.state(sid=f"newer-{number}") for number in (2, 3)} == {"revoked"}
    assert {setting.state(sid=f"session-{number}") for number in (1, 2, 3)} == {"revoked"}
    assert setting.is_good(sid="s")


class OlderFeed:
    """A server of the version before marks, with the same database: it refuses them and sends none."""

    def __init__(self, feed):
        self._feed = feed

    def answer(self, query, headers):
        if query.count(".") > 1:
            return 400, {"content-type": "application/problem+json"}, b"{}"
        with self._feed.told:
            self._feed.forge = lambda claims: {name: claims[name] for name in claims if "mark" not in name}
            try:
                return self._feed.answer(query, headers)
            finally:
                self._feed.forge = lambda claims: claims


@pytest.mark.parametrize("first", [0, 1])
def test_a_long_snapshot_ends_while_older_and_newer_servers_answer_in_turn(setting, first):
    """As during a rolling upgrade. Requests that the older server refuses lose no progress."""
    setting.feed.limit = 10
    for number in range(95):
        setting.feed.tell("session", f"session-{number}")
    turns = itertools.cycle([setting.feed.answer, OlderFeed(setting.feed).answer])
    if first:
        next(turns)
    setting.issuer.answers[FEED] = lambda query, headers: next(turns)(query, headers)
    setting.comes_true(lambda: setting.is_revoked(sid="session-94"))
    setting.feed.tell("session", "later")
    setting.comes_true(lambda: setting.is_revoked(sid="later"))
    assert sum("after" not in asked for asked in setting.feed.asked) == 1


def test_a_restored_backup_is_a_new_generation_and_undoes_no_revocation(setting):
    setting.feed.tell("session", "session-1")
    setting.feed.tell("session", "session-2")
    assert setting.is_revoked(sid="session-2")
    setting.feed.restore()
    setting.feed.tell("session", "session-3")
    setting.comes_true(lambda: setting.is_revoked(sid="session-3"))
    assert [setting.state(sid=f"session-{n}") for n in (1, 2, 4)] == ["revoked", "revoked", "good"]


# -- keys --------------------------------------------------------------------------------------------------------------


def test_j41_a_revoked_key_is_refused_immediately_even_if_it_is_still_published(setting):
    setting.issuer.publish(KEY, NEXT)
    token = setting.token()
    setting.verifier.verify(token)
    fetched = setting.issuer.asked[JWKS]
    setting.feed.key = NEXT
    setting.feed.tell("key_revoked", KEY.kid)

    def is_refused():
        try:
            setting.verifier.verify(token)
        except BadSignature:
            return True
        return False

    setting.comes_true(is_refused)
    assert setting.verify(NEXT).sub == "acc_1"
    setting.monotonic.now += 300  # the keys are fetched again and still contain it
    setting.comes_true(lambda: setting.issuer.asked[JWKS] > fetched and setting.follower.is_fresh)
    assert is_refused()
    assert setting.verify(NEXT).sub == "acc_1"


def test_j41_after_a_key_was_stolen_a_feed_signed_with_the_next_key_is_accepted_soon(setting):
    """The next key signs before we have fetched it. Tokens cannot trigger a fetch so soon, but the issuer can."""
    setting.verify()
    setting.issuer.publish(NEXT)
    setting.feed.key = NEXT
    setting.feed.tell("key_revoked", KEY.kid)
    setting.comes_true(setting.is_unknown)  # keys were fetched a moment ago
    setting.monotonic.now += COOL_DOWN_OF_ISSUER
    setting.comes_true(lambda: setting.follower.is_fresh)
    assert setting.verify(NEXT).sub == "acc_1"
    with pytest.raises(BadSignature):
        setting.verify(KEY)


def test_j41_a_feed_signed_with_a_revoked_key_is_refused(setting):
    setting.issuer.publish(KEY, NEXT)
    setting.feed.tell("key_revoked", KEY.kid)
    setting.feed.key = NEXT
    setting.verify(NEXT)
    setting.feed.key = KEY
    setting.feed.tell("session", "session-1")
    setting.comes_true(lambda: not setting.follower.is_fresh)
    setting.hears(3)
    assert not setting.follower.is_fresh


# -- the secret --------------------------------------------------------------------------------------------------------


def test_l9_id_and_secret_are_form_encoded_in_the_header(setting):
    """RFC 6749 §2.3.1: otherwise a colon in the id would end it early."""
    setting.verify()
    path, headers = next((path, headers) for path, headers in setting.issuer.heard if path.startswith(FEED))
    assert headers["Authorization"] == basic(CLIENT_ID, SECRET)
    assert headers["Accept"] == "application/jwt"
    assert "secret" not in path


def test_the_secret_is_sent_only_to_the_feed(setting):
    setting.verify()
    assert {path.partition("?")[0] for path, headers in setting.issuer.heard if "Authorization" in headers} == {FEED}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_c4_the_secret_is_not_sent_to_a_redirect(setting, status):
    with Issuer() as canary:
        setting.issuer.answers[FEED] = (status, {"location": canary.origin + FEED}, b"")
        assert setting.is_unknown()
        assert not canary.heard


def test_c4_the_secret_is_not_sent_to_another_origin_named_in_the_metadata(setting):
    with Issuer() as canary:
        for origin in (canary.origin, setting.issuer.origin.replace("127.0.0.1", "localhost"), "http://a@127.0.0.1"):
            Feed(setting.issuer, origin=origin)
            assert setting.is_unknown()
        assert not canary.heard
        assert not setting.issuer.asked[FEED]


def test_the_secret_is_in_no_repr_log_or_error(setting, caplog):
    issuer = setting.issuer
    wrong = Setting(issuer, secret="hunter2:")
    credentials = ClientCredentials(CLIENT_ID, "hunter2:")
    with pytest.raises(RevocationsUnknown) as caught:
        wrong.verify()
    logged = "".join(str(vars(record)) for record in caplog.records)
    texts = [repr(credentials), str(credentials), f"{wrong.follower!r}{wrong.verifier!r}", logged]
    texts += traceback.format_exception(caught.value)
    wrong.follower.close()
    for text in texts:
        assert "hunter2" not in text
        assert credentials.authorization.removeprefix("Basic ") not in text
    assert repr(credentials) == "ClientCredentials(client_id='client_orders')"
    assert [(record.getMessage(), record.issuer, record.reason) for record in caplog.records] == [
        ("revocation_feed.fetch_failed", issuer.url, "status 401")
    ]


def test_an_unexpected_error_is_logged_by_its_type_only(setting, monkeypatch, caplog):
    def broken(**_):
        raise RuntimeError(SECRET)

    monkeypatch.setattr(setting.follower._source, "next_message", broken)
    assert setting.is_unknown()
    assert [record.reason for record in caplog.records] == ["RuntimeError"]
    assert SECRET not in str(vars(caplog.records[0]))
    monkeypatch.undo()
    setting.comes_true(setting.is_good)


# -- close -------------------------------------------------------------------------------------------------------------


def alive():
    return [thread for thread in threading.enumerate() if thread.name == "ostiary-feed"]


def test_closing_stops_the_thread_and_refuses_tokens(setting):
    setting.verify()
    assert len(alive()) == 1
    setting.verifier.close()
    assert setting.is_unknown()
    setting.comes_true(lambda: not alive())
    assert setting.is_unknown()
    assert not alive()


def test_a_feed_that_never_started_can_be_closed(setting):
    setting.verifier.close()
    assert setting.is_unknown()
    assert not alive()
    assert not setting.issuer.asked[FEED]


def test_revocations_are_unknown_until_a_thread_can_be_started(setting, monkeypatch):
    setting.keys.refresh()

    def none_left(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        assert setting.is_unknown()
    assert setting.verify().sub == "acc_1"


def test_a_forked_process_follows_the_feed_with_its_own_thread(setting):
    setting.feed.tell("session", "session-1")
    setting.verify(sid="s")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: this process has threads, which is the point
        child = os.fork()
    if child == 0:
        status = 1
        try:
            setting.monotonic.now += STALE_AFTER
            in_time = setting.is_good(sid="s") and setting.is_revoked() and len(alive()) == 1
            status = 0 if in_time else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_ended_entries_are_dropped(setting):
    """Otherwise the memory of a long-running service would grow without limit."""
    for number in range(500):
        setting.feed.tell("session", f"session-{number}", until=NOW + 100)
        setting.feed.tell("epoch", f"acc_{number}", 4, until=NOW + 100)
    assert setting.is_revoked()
    assert len(setting.follower._known) == 1000
    setting.feed.entries.clear()
    setting.feed.now = NOW + 200
    setting.comes_true(lambda: len(setting.follower._known) == 0)


def test_an_issuer_without_a_feed_is_logged(setting, caplog):
    setting.issuer.answers[METADATA] = json_answer(
        {"issuer": setting.issuer.url, "jwks_uri": setting.issuer.origin + JWKS}
    )
    with pytest.raises(RevocationsUnknown):
        setting.verifier.refresh()
    reasons = [record.reason for record in caplog.records]
    assert reasons == ["ostiary_feed_endpoint: the URL in the metadata is missing or not usable"]
