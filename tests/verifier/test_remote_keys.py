"""Keys of a remote issuer over time: rotation, withdrawal, outages and concurrent callers."""

import asyncio
import threading
import time

import pytest

from ostiary.errors import BadSignature, ClaimRejected, ConfigurationError, InvalidToken, TokenExpired, Unavailable
from ostiary.jose import SigningKey, sign
from ostiary.verifier import (
    Authenticator,
    RemoteKeys,
    RemoteVerifier,
    TokenAuthenticator,
    Verifier,
    encode_access_token,
)
from ostiary.verifier.remote import flights
from ostiary.verifier.remote.kept import ABANDONED, COOL_DOWN_WITHOUT, OUTAGE
from ostiary.verifier.remote.keys import COOL_DOWN, MAX_AGE, MOST_LIFETIME
from tests.verifier.issuers import JWKS, METADATA, Issuer, json_answer
from tests.verifier.material import AUDIENCE, KEY, NOW, access_token, revocations

NEXT = SigningKey.generate("ES256")


class Monotonic:
    """A clock that stands still until a test moves it."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Setting:
    """An issuer, and a verifier of its tokens. The test moves the verifier's clock."""

    def __init__(self, issuer, **parameters):
        self.issuer = issuer
        self.clock = Monotonic()
        self.keys = RemoteKeys(issuer.url, development=True, monotonic=self.clock)
        made = {"issuer": issuer.url, "audience": AUDIENCE, "clock": lambda: NOW, **parameters}
        self.verifier = RemoteVerifier(self.keys, lambda key_set: Verifier(keys=key_set, **made))

    def token(self, key=KEY, **claims):
        return sign(encode_access_token(access_token(iss=self.issuer.url, **claims)), key, typ="at+jwt")

    def verify(self, key=KEY):
        return self.verifier.verify(self.token(key))

    def pass_by(self, seconds):
        self.clock.now += seconds

    @property
    def fetched(self):
        return self.issuer.asked[JWKS]

    def settle(self):
        """Waits until no fetch is running."""
        deadline = time.monotonic() + 10
        while self.keys._kept._flight is not None:
            assert time.monotonic() < deadline
            time.sleep(0.005)


@pytest.fixture
def setting():
    with Issuer() as issuer:
        yield Setting(issuer)


def unknown_key():
    """A key that the issuer does not have."""
    return SigningKey.generate("ES256")


# -- basics ------------------------------------------------------------------------------------------------------------


def test_keys_are_fetched_for_the_first_token_and_then_cached(setting):
    assert setting.fetched == 0
    assert setting.verify().sub == "acc_1"
    assert setting.verify().sub == "acc_1"
    assert (setting.fetched, setting.issuer.asked[METADATA]) == (1, 1)


def test_verifier_remote_creates_a_remote_verifier(setting):
    issuer = setting.issuer
    verifier = Verifier.remote(issuer.url, audience=AUDIENCE, development=True, clock=lambda: NOW)
    assert verifier.verify(setting.token()).iss == issuer.url
    assert verifier.now() == NOW
    for wrong in ({"audience": ""}, {"audience": "a", "leeway": -1}, {"audience": "a", "networks": ("x",)}):
        with pytest.raises(ConfigurationError):
            Verifier.remote("https://auth.example.com", **wrong)


def test_every_rule_of_the_verifier_holds(setting):
    for token, error in (
        ("a.b.c", InvalidToken),
        (setting.token(exp=NOW - 100, iat=NOW - 200), TokenExpired),
        (setting.token(aud="https://other"), ClaimRejected),
        (setting.token()[:-4] + "AAAA", BadSignature),
        (sign(encode_access_token(access_token(iss="https://evil")), KEY, typ="at+jwt"), ClaimRejected),
    ):
        with pytest.raises(error):
            setting.verifier.verify(token)
    assert setting.fetched == 1


def test_revocations_are_checked():
    with Issuer() as issuer:
        known = revocations()
        setting = Setting(issuer, revocations=known)
        setting.verify()
        known.end_session("session-1", until=NOW + 1000)
        with pytest.raises(InvalidToken):
            setting.verify()


def test_it_is_an_authenticator_and_can_be_wrapped_in_one(setting):
    headers = [(b"authorization", f"Bearer {setting.token()}".encode())]
    for authenticator in (setting.verifier, TokenAuthenticator(setting.verifier)):
        asked: Authenticator = authenticator
        assert asked.authenticate(headers, method="POST").account_id == "acc_1"
        assert asked.authenticate([], method="GET") is None
        assert (asked.role_map, asked.now()) == (None, NOW)


# -- unknown keys ------------------------------------------------------------------------------------------------------


def test_j34_a_thousand_unknown_kids_cause_one_fetch_per_cool_down(setting):
    """GHSA-2gx3-rcp4-g85q."""
    setting.verify()
    setting.pass_by(COOL_DOWN)
    token = setting.token(unknown_key())
    for _ in range(1000):
        with pytest.raises(BadSignature):
            setting.verifier.verify(token)
    assert setting.fetched == 2
    setting.pass_by(COOL_DOWN - 0.1)
    with pytest.raises(BadSignature):
        setting.verify(unknown_key())
    assert setting.fetched == 2
    setting.pass_by(0.1)
    with pytest.raises(BadSignature):
        setting.verify(unknown_key())
    assert setting.fetched == 3


def test_a_new_key_is_fetched_when_a_token_names_it(setting):
    setting.verify()
    setting.issuer.publish(KEY, NEXT)
    with pytest.raises(BadSignature):  # still cooling down
        setting.verify(NEXT)
    setting.pass_by(COOL_DOWN)
    assert setting.verify(NEXT).sub == "acc_1"
    assert setting.verify(KEY).sub == "acc_1"
    assert setting.fetched == 2


def test_a_bad_signature_with_a_known_kid_causes_no_fetch(setting):
    setting.verify()
    setting.pass_by(COOL_DOWN)
    forged = sign(encode_access_token(access_token()), SigningKey.generate("ES256", kid=KEY.kid), typ="at+jwt")
    with pytest.raises(BadSignature):
        setting.verifier.verify(forged)
    assert setting.fetched == 1


def test_an_unknown_key_during_an_outage_gives_503_and_not_401(setting):
    """The token may be valid. After a 401 the client would discard its session."""
    setting.verify()
    setting.pass_by(COOL_DOWN)
    with setting.issuer.away():
        with pytest.raises(Unavailable) as caught:
            setting.verify(NEXT)
        assert (caught.value.status, caught.value.retry_after) == (503, COOL_DOWN)
        setting.verify(KEY)


# -- outages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [(500, {}, b""), (200, {"content-type": "text/html"}, b"<html>"), json_answer({"keys": []}), (302, {}, b"")],
)
def test_j34_failures_of_the_issuer_do_not_remove_the_keys(setting, answer):
    """GHSA-fhv5-28vv-h8m8."""
    setting.verify()
    setting.issuer.answers[JWKS] = answer
    for _ in range(5):
        setting.pass_by(MAX_AGE / 6)
        setting.verify()
        setting.settle()
    assert setting.fetched == 6
    with pytest.raises(BadSignature):
        setting.verifier.verify(setting.token()[:-86] + "A" * 86)


def test_keys_that_could_not_be_renewed_expire_eventually(setting):
    setting.verify()
    with setting.issuer.away():
        setting.pass_by(MAX_AGE - 0.1)
        setting.verify()
        setting.settle()
        setting.pass_by(0.1)
        for _ in range(2):
            with pytest.raises(Unavailable):
                setting.verify()
            setting.settle()
        setting.pass_by(COOL_DOWN)
        with pytest.raises(Unavailable):
            setting.verify()
    setting.pass_by(COOL_DOWN_WITHOUT)
    assert setting.verify().sub == "acc_1"


def test_without_keys_it_retries_after_a_short_pause_and_sets_retry_after(setting):
    with setting.issuer.away():
        with pytest.raises(Unavailable) as caught:
            setting.verifier.refresh()
        assert caught.value.retry_after == COOL_DOWN_WITHOUT
        setting.pass_by(COOL_DOWN_WITHOUT - 1)
        with pytest.raises(Unavailable) as caught:
            setting.verify()
        assert caught.value.retry_after == 1
        assert setting.issuer.asked[METADATA] == 1
    setting.pass_by(1)
    setting.verifier.refresh()
    assert setting.verify().sub == "acc_1"
    assert setting.fetched == 1


def test_an_unreachable_issuer_is_logged_once(caplog):
    keys = RemoteKeys("http://127.0.0.1:1", development=True)
    with pytest.raises(Unavailable) as caught:
        keys.refresh()
    reason = "no address of 127.0.0.1 accepts a connection"
    assert caught.value.detail == f"the keys of http://127.0.0.1:1 could not be fetched: {reason}"
    assert [(record.getMessage(), record.issuer, record.reason) for record in caplog.records] == [
        ("remote_keys.fetch_failed", "http://127.0.0.1:1", reason)
    ]


# -- renewal -----------------------------------------------------------------------------------------------------------


def test_keys_are_renewed_in_the_background_before_they_expire(setting):
    setting.issuer.publish(KEY, cache_control="max-age=400")
    setting.verify()
    setting.pass_by(299)
    setting.verify()
    assert setting.fetched == 1
    setting.pass_by(1)
    let_go = threading.Event()
    _, headers, body = setting.issuer.answers[JWKS]

    def wait_and_write(write):
        let_go.wait(5)
        write(body)

    setting.issuer.answers[JWKS] = (200, headers, wait_and_write)
    start = time.monotonic()
    assert setting.verify().sub == "acc_1"
    assert time.monotonic() - start < 2
    let_go.set()
    setting.settle()
    assert setting.fetched == 2


def test_j41_a_withdrawn_key_is_refused_once_the_keys_have_expired(setting):
    """After an hour without tokens, the first token waits for the new keys: it may be signed with a stolen key."""
    setting.verify()
    setting.issuer.publish(NEXT)
    setting.pass_by(300)
    with pytest.raises(BadSignature):
        setting.verify(KEY)
    assert setting.verify(NEXT).sub == "acc_1"


def test_j41_an_old_failure_does_not_count_as_an_outage(setting):
    """Otherwise a withdrawn key would be accepted again after one failed renewal and a time without tokens."""
    setting.verify()
    with setting.issuer.away():
        setting.pass_by(0.75 * 300)
        setting.verify()
        setting.settle()
    setting.issuer.publish(NEXT)
    setting.pass_by(OUTAGE)
    with pytest.raises(BadSignature):
        setting.verify(KEY)


def test_only_the_first_token_waits_during_an_outage(setting):
    let_go = threading.Event()
    setting.verify()
    with setting.issuer.away():
        setting.pass_by(300)
        setting.verify()
        setting.pass_by(COOL_DOWN)
        setting.issuer.answers[METADATA] = (200, {"content-type": "application/json"}, lambda _: let_go.wait(5))
        start = time.monotonic()
        assert setting.verify().sub == "acc_1"
        assert time.monotonic() - start < 2
        let_go.set()
        setting.settle()
    assert setting.issuer.asked[METADATA] == 3


def test_j41_a_withdrawn_key_is_refused_after_renewal_even_for_cached_tokens(setting):
    token = setting.token()
    setting.verifier.verify(token)
    setting.issuer.publish(NEXT)
    setting.pass_by(0.75 * 300)
    setting.verifier.verify(token)
    setting.settle()
    with pytest.raises(BadSignature):
        setting.verifier.verify(token)


@pytest.mark.parametrize(
    ("said", "kept"), [("max-age=0", 60), ("no-store", 60), ("max-age=600", 600), ("max-age=31536000", 3600), ("", 300)]
)
def test_p13_the_lifetime_of_keys_has_a_minimum_and_a_maximum(setting, said, kept):
    setting.issuer.publish(KEY, cache_control=said)
    setting.verify()
    setting.issuer.publish(NEXT)
    assert kept <= MOST_LIFETIME
    setting.pass_by(0.75 * kept - 0.1)
    setting.verify(KEY)
    setting.settle()
    assert setting.fetched == 1
    setting.pass_by(0.25 * kept + 0.1)
    with pytest.raises(BadSignature):
        setting.verify(KEY)


def test_a_renewal_with_the_same_keys_keeps_the_cached_tokens(setting):
    token = setting.token()
    first = setting.verifier.verify(token)
    setting.pass_by(300)
    assert setting.verifier.verify(token) is first
    assert setting.fetched == 2


# -- a clock that jumps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [0.001, 1, 3600, 10**9])
def test_j41_cached_keys_do_not_become_fresh_because_the_clock_was_set_back(setting, back):
    """Otherwise a withdrawn key would be trusted until the clock has caught up."""
    setting.verify()
    setting.issuer.publish(NEXT)
    setting.pass_by(-back)
    with pytest.raises(BadSignature):
        setting.verify(KEY)
    assert setting.verify(NEXT).sub == "acc_1"
    assert setting.fetched == 2


def test_keys_of_unknown_age_are_not_used_during_an_outage(setting):
    setting.verify()
    setting.pass_by(-3600)
    with setting.issuer.away():
        with pytest.raises(Unavailable) as caught:
            setting.verify()
        assert 1 <= caught.value.retry_after <= COOL_DOWN_WITHOUT
    setting.pass_by(COOL_DOWN_WITHOUT)
    assert setting.verify().sub == "acc_1"


def test_no_cool_down_lasts_longer_because_the_clock_was_set_back(setting):
    setting.verify()
    setting.pass_by(-3600)
    setting.verify()
    setting.issuer.publish(KEY, NEXT)
    setting.pass_by(COOL_DOWN)
    assert setting.verify(NEXT).sub == "acc_1"
    assert setting.fetched == 3


# -- withdraw ----------------------------------------------------------------------------------------------------------


def test_j41_a_withdrawn_key_is_refused_immediately_and_permanently(setting):
    setting.issuer.publish(KEY, NEXT)
    token = setting.token()
    setting.verifier.verify(token)
    setting.keys.withdraw(KEY.kid)
    for _ in range(3):
        with pytest.raises(BadSignature):
            setting.verifier.verify(token)
        assert setting.verify(NEXT).sub == "acc_1"
        setting.pass_by(300)  # the keys are fetched again and still contain it


def test_a_withdrawn_key_causes_no_fetch_and_no_503(setting):
    """A withdrawn key cannot be a new key, so its tokens are invalid even during an outage."""
    setting.issuer.publish(KEY, NEXT)
    setting.verify()
    setting.keys.withdraw(KEY.kid)
    setting.pass_by(COOL_DOWN)
    with setting.issuer.away(), pytest.raises(BadSignature):
        setting.verify()
    assert setting.fetched == 1


def test_a_key_can_be_withdrawn_before_and_while_it_is_fetched(setting):
    setting.issuer.publish(KEY, NEXT)
    let_go = held_back(setting.issuer)
    first = threading.Thread(target=lambda: found.append(setting.verify(NEXT)))
    found = []
    setting.keys.withdraw("somebody else's")
    first.start()
    while not setting.fetched:
        time.sleep(0.005)
    setting.keys.withdraw(KEY.kid)
    let_go.set()
    first.join(10)
    assert len(found) == 1
    with pytest.raises(BadSignature):
        setting.verify()


def test_tokens_of_other_keys_stay_valid_when_a_key_is_withdrawn(setting):
    setting.issuer.publish(KEY, NEXT)
    token = setting.token(NEXT)
    first = setting.verifier.verify(token)
    setting.keys.withdraw("somebody else's")
    assert setting.verifier.verify(token) is first
    setting.keys.withdraw(KEY.kid)
    setting.pass_by(300)
    again = setting.verifier.verify(token)
    setting.pass_by(300)
    assert setting.verifier.verify(token) is again


# -- concurrency -------------------------------------------------------------------------------------------------------


def slowly(issuer, seconds=0.2):
    _, headers, body = issuer.answers[JWKS]

    def answer(write):
        time.sleep(seconds)
        write(body)

    issuer.answers[JWKS] = (200, headers, answer)


def held_back(issuer):
    """The issuer sends its keys when the event is set."""
    let_go = threading.Event()
    _, headers, body = issuer.answers[JWKS]

    def wait_and_write(write):
        let_go.wait(20)
        write(body)

    issuer.answers[JWKS] = (200, headers, wait_and_write)
    return let_go


def test_many_threads_cause_one_fetch(setting):
    slowly(setting.issuer)
    token, found = setting.token(), []
    threads = [threading.Thread(target=lambda: found.append(setting.verifier.verify(token))) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [claims.sub for claims in found] == ["acc_1"] * 32
    assert setting.fetched == 1


async def test_many_tasks_cause_one_fetch_and_do_not_block_the_loop(setting):
    """The issuer answers only after the event loop has run. A blocked loop would wait forever."""
    let_go = held_back(setting.issuer)
    token = setting.token()
    waiting = asyncio.gather(*(setting.verifier.verify_async(token) for _ in range(32)))
    while not setting.fetched:  # noqa: ASYNC110 — it happens in the issuer's thread
        await asyncio.sleep(0.01)
    assert not waiting.done()
    let_go.set()
    assert [claims.sub for claims in await waiting] == ["acc_1"] * 32
    assert setting.fetched == 1


async def test_verify_does_not_block_an_event_loop(setting):
    let_go = held_back(setting.issuer)
    with pytest.raises(Unavailable, match="event loop") as caught:
        setting.verify()
    assert caught.value.retry_after == 1
    assert setting.keys._kept._flight is not None
    let_go.set()
    await setting.verifier.refresh_async()
    assert setting.verify().sub == "acc_1"
    assert setting.fetched == 1


async def test_verify_waits_in_a_thread_without_an_event_loop(setting):
    assert (await asyncio.to_thread(setting.verify)).sub == "acc_1"


async def test_a_cancelled_caller_does_not_stop_the_others(setting):
    slowly(setting.issuer)
    tired, patient = (asyncio.create_task(setting.verifier.verify_async(setting.token())) for _ in range(2))
    await asyncio.sleep(0.05)
    tired.cancel()
    assert (await patient).sub == "acc_1"
    assert tired.cancelled()
    assert setting.fetched == 1


async def test_verify_async_refuses_as_verify_does(setting):
    for token, error in (
        (setting.token(unknown_key()), BadSignature),
        ("x", InvalidToken),
        (setting.token(aud="x"), InvalidToken),
    ):
        with pytest.raises(error):
            await setting.verifier.verify_async(token)


def test_a_fetch_that_never_ends_is_abandoned_and_its_late_result_is_ignored(setting, monkeypatch):
    """A name server that never answers, or a fork during a fetch, must not prevent all later fetches."""
    monkeypatch.setattr(flights, "PATIENCE", 0.2)
    stuck, release, load = threading.Event(), threading.Event(), setting.keys._kept._load

    def hang():
        stuck.set()
        release.wait(10)
        return load()._replace(value=old)

    setting.verify()
    old = setting.keys._kept.value
    setting.keys._kept._load = hang
    setting.pass_by(COOL_DOWN)
    with pytest.raises(Unavailable):
        setting.verify(NEXT)
    assert stuck.is_set()
    flight = setting.keys._kept._flight
    setting.keys._kept._load = load
    setting.issuer.publish(NEXT)
    setting.pass_by(ABANDONED)
    monkeypatch.undo()
    assert setting.verify(NEXT).sub == "acc_1"
    release.set()
    flight.result(5)
    assert setting.verify(NEXT).sub == "acc_1"


def test_it_is_unavailable_if_no_thread_can_be_started(setting, monkeypatch):
    def none_left(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    with pytest.raises(Unavailable):
        setting.verify()
