"""Status lists of a remote issuer: fetched once, renewed, used through outages, and always verified."""

import asyncio
import threading
import time

import pytest

from ostiary.errors import ClaimRejected, ConfigurationError, RevocationsUnknown, TokenRevoked, Unavailable
from ostiary.jose import SigningKey, sign, strict_json
from ostiary.verifier import (
    KnownRevocations,
    RemoteKeys,
    RemoteVerifier,
    StatusLists,
    TokenAuthenticator,
    Verifier,
    encode_access_token,
)
from ostiary.verifier.access_token import Status, StatusListEntry
from ostiary.verifier.remote.kept import OUTAGE
from ostiary.verifier.remote.status_lists import COOL_DOWN, LEAST_TTL, MAX_LISTS
from ostiary.verifier.status_list import EncodedStatusList, StatusListClaims, encode
from tests.verifier.issuers import JWKS, Issuer
from tests.verifier.material import AUDIENCE, KEY, LEEWAY, NOW, access_token
from tests.verifier.test_remote_keys import Monotonic

MEDIA_TYPE = "application/statuslist+jwt"
SIZE = 2**20
TTL, LIFETIME = 60, 300
NEXT = SigningKey.generate("ES256")


class Setting:
    """An issuer with status lists, and a verifier of its tokens. The test moves the clocks."""

    def __init__(self, issuer, **parameters):
        self.issuer = issuer
        self.now = float(NOW)
        self.monotonic = Monotonic()
        self.keys = RemoteKeys(issuer.url, development=True, monotonic=self.monotonic)
        self.lists = StatusLists(
            self.keys, clock=self.clock, monotonic=self.monotonic, **{"leeway": LEEWAY, **parameters}
        )
        made = {"issuer": issuer.url, "audience": AUDIENCE, "clock": self.clock, "revocations": self.lists}
        self.verifier = RemoteVerifier(self.keys, lambda key_set: Verifier(keys=key_set, **made))
        self.pure = Verifier(keys=[KEY.public], **made)

    def clock(self):
        return self.now

    def path(self, number=7):
        return f"/auth/status/{number}"

    def uri(self, number=7):
        return self.issuer.origin + self.path(number)

    def publish(
        self, *revoked, number=7, key=KEY, typ="statuslist+jwt", bits=1, media="application/statuslist+jwt", **changes
    ):
        statuses = bytearray(SIZE // 8)
        for idx in revoked:
            statuses[idx // 8] |= 1 << idx % 8
        claims = {
            "sub": self.uri(number),
            "iss": self.issuer.url,
            "iat": int(self.now),
            "exp": int(self.now) + LIFETIME,
        }
        listed = EncodedStatusList(bits, encode(bytes(statuses)))
        payload = StatusListClaims(**{**claims, "ttl": TTL, "status_list": listed, **changes})
        text = sign(strict_json.dumps(payload), key, typ=typ, longest=2**20)
        self.issuer.answers[self.path(number)] = (200, {"content-type": media}, text.encode())

    def token(self, idx=5, *, number=7, uri=None, **claims):
        status = Status(StatusListEntry(idx, self.uri(number) if uri is None else uri))
        claims = {"iss": self.issuer.url, "exp": int(self.now) + 900, "iat": int(self.now), "status": status, **claims}
        return sign(encode_access_token(access_token(**claims)), KEY, typ="at+jwt")

    def verify(self, idx=5, **claims):
        return self.verifier.verify(self.token(idx, **claims))

    def refuses(self, error=RevocationsUnknown, idx=5, match=None, **claims):
        with pytest.raises(error, match=match) as caught:
            self.verify(idx, **claims)
        assert caught.type is error
        return caught.value

    def pass_by(self, seconds):
        self.now += seconds
        self.monotonic.now += seconds

    def fetched(self, number=7):
        return self.issuer.asked[self.path(number)]

    def settle(self):
        """Waits until no fetch is running."""
        deadline = time.monotonic() + 10
        while any(kept._flight is not None for kept in (self.keys._kept, *self.lists._lists.values())):
            assert time.monotonic() < deadline
            time.sleep(0.002)


@pytest.fixture
def setting():
    with Issuer() as issuer:
        made = Setting(issuer)
        made.publish()
        yield made


# -- basics ------------------------------------------------------------------------------------------------------------


def test_only_tokens_whose_bit_is_set_are_revoked(setting):
    setting.publish(5, 8, SIZE - 1)
    for idx in (5, 8, SIZE - 1):
        setting.refuses(TokenRevoked, idx)
    for idx in (0, 4, 6, 7, 9, SIZE - 2):
        assert setting.verify(idx).sub == "acc_1"
    assert setting.fetched() == 1


@pytest.mark.parametrize("status", [1, 2, 3])
def test_every_status_except_valid_is_refused(setting, status):
    """This includes suspended (2) and application-specific statuses (3)."""
    setting.publish(status_list=EncodedStatusList(2, encode(bytes([0, status << 2]))))
    setting.refuses(TokenRevoked, 5)
    assert setting.verify(4).sub == "acc_1"


def test_verifier_remote_checks_status_lists_by_default(setting):
    setting.publish(5)
    verifier = Verifier.remote(setting.issuer.url, audience=AUDIENCE, development=True, clock=setting.clock)
    with pytest.raises(TokenRevoked):
        verifier.verify(setting.token(5))
    assert verifier.verify(setting.token(6)).sub == "acc_1"


def test_the_list_is_requested_with_its_media_type(setting):
    setting.verify()
    headers = dict(setting.issuer.heard)[setting.path()]
    assert headers["Accept"] == "application/statuslist+jwt"
    assert "Authorization" not in headers


def test_a_token_without_the_claim_is_valid_and_causes_no_fetch(setting):
    token = setting.token(status=None)
    assert setting.verifier.verify(token).status is None
    assert setting.fetched() == 0


def test_passed_revocations_replace_the_status_lists(setting):
    """Even if they are empty and therefore falsy."""
    known = KnownRevocations(fresh=lambda: True)
    verifier = Verifier.remote(
        setting.issuer.url, audience=AUDIENCE, development=True, clock=setting.clock, revocations=known
    )
    setting.publish(5)
    assert verifier.verify(setting.token(5)).sub == "acc_1"
    known.end_session("session-1", NOW + 1000)
    with pytest.raises(TokenRevoked):
        verifier.verify(setting.token(5))
    assert setting.fetched() == 0
    with pytest.raises(ConfigurationError, match="when_stale"):
        Verifier.remote("https://a.example", audience="a", revocations=known, when_stale="serve")
    with pytest.raises(ConfigurationError, match="when_stale"):
        Verifier.remote("https://a.example", audience="a", when_stale="maybe")


def test_a_verifier_with_local_keys_can_use_status_lists(setting):
    setting.publish(5)
    with pytest.raises(TokenRevoked):
        setting.pure.verify(setting.token(5))
    assert setting.pure.verify(setting.token(6)).sub == "acc_1"


async def test_a_verifier_with_local_keys_can_use_status_lists_in_an_event_loop(setting):
    setting.publish(5)
    headers = [(b"authorization", f"Bearer {setting.token(6)}".encode())]
    principal = await TokenAuthenticator(setting.pure).authenticate_async(headers, method="GET")
    assert principal.account_id == "acc_1"
    with pytest.raises(TokenRevoked):
        await setting.pure.verify_async(setting.token(5))


def test_everything_else_about_a_token_is_checked_before_its_list_is_fetched(setting):
    """§8.3. Otherwise anyone could make us fetch a list with an unsigned token."""
    forged = setting.token()[:-4] + "AAAA"
    for token in (forged, setting.token(exp=NOW - 100, iat=NOW - 200), setting.token(aud="https://other")):
        with pytest.raises(Exception, match=r"signature|expired|audience"):
            setting.verifier.verify(token)
    assert setting.fetched() == 0


# -- where lists may be ------------------------------------------------------------------------------------------------


def test_s20_lists_at_other_origins_are_not_fetched(setting):
    """Otherwise a token could make every service call any server (SSRF)."""
    with Issuer() as canary:
        for uri in (canary.origin + "/auth/status/7", setting.uri().replace("127.0.0.1", "localhost")):
            assert "origin" in setting.refuses(ClaimRejected, uri=uri).detail
        assert not canary.asked


@pytest.mark.parametrize(
    "uri",
    ["", "/auth/status/7", "file:///etc/passwd", "http://169.254.169.254/latest", "data:,x", "https://127.0.0.1",
     "{origin}@evil.example/", "{origin}/#x", "{origin}/\r\nX: y", "{origin}/ x", "{origin}\\@evil",
     "{origin}.evil.example/"],
)  # fmt: skip
def test_s20_urls_that_are_not_plain_urls_of_the_issuer_are_refused(setting, uri):
    setting.refuses(ClaimRejected, uri=uri.format(origin=setting.issuer.origin))
    assert set(setting.issuer.asked) <= {JWKS, "/.well-known/oauth-authorization-server"}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_c4_a_redirect_is_not_followed(setting, status):
    with Issuer() as canary:
        setting.issuer.answers[setting.path()] = (status, {"location": canary.origin + setting.path()}, b"")
        setting.refuses()
        assert not canary.asked


@pytest.mark.parametrize("idx", [SIZE, SIZE + 7, 2**40])
def test_an_index_outside_the_list_is_refused(setting, idx):
    setting.refuses(ClaimRejected, idx)


# -- which lists are accepted ------------------------------------------------------------------------------------------

NOT_A_LIST = {
    "of another uri": {"sub": "https://auth.example.com/auth/status/8"},
    "of another issuer": {"iss": "https://evil.example"},
    "signed with an unknown key": {"key": NEXT},
    "signed with a forged key that has the issuer's kid": {"key": SigningKey.generate("ES256", kid=KEY.kid)},
    "with the type of an access token": {"typ": "at+jwt"},
    "without a type": {"typ": None},
    "as JSON": {"media": "application/json"},
    "as HTML": {"media": "text/html"},
    "expired": {"iat": NOW - 400, "exp": NOW - LEEWAY},
    "from the future": {"iat": NOW + LEEWAY + 1, "exp": NOW + 900},
    "a zlib bomb": {"status_list": EncodedStatusList(1, encode(b"\0" * 50_000_000))},
    "truncated": {"status_list": EncodedStatusList(1, encode(b"\0" * 1000)[:-6])},
}


@pytest.mark.parametrize("name", NOT_A_LIST)
def test_s20_tokens_are_refused_if_the_list_is_not_a_valid_list_of_the_issuer(setting, name, caplog):
    setting.publish(**NOT_A_LIST[name])
    error = setting.refuses()
    assert (error.status, error.retry_after) == (503, COOL_DOWN)
    logged = [(record.getMessage(), record.url) for record in caplog.records]
    assert logged == [("status_list.fetch_failed", setting.uri())]
    assert error.detail == f"the status list {setting.uri()} could not be fetched: {caplog.records[0].reason}"


@pytest.mark.parametrize("body", [b"", b"a.b.c", b"\xff\xfe", b"x" * 300_000, b"<html>"])
def test_tokens_are_refused_if_the_answer_is_garbage(setting, body):
    setting.issuer.answers[setting.path()] = (200, {"content-type": "application/statuslist+jwt"}, body)
    setting.refuses()


def test_tokens_are_refused_if_the_list_does_not_exist(setting):
    setting.issuer.answers[setting.path()] = (404, {}, b"")
    setting.refuses()


def test_s19_a_replayed_old_list_does_not_undo_a_revocation(setting):
    good = setting.issuer.answers[setting.path()]
    setting.pass_by(TTL)
    setting.publish(5)
    setting.refuses(TokenRevoked)
    setting.issuer.answers[setting.path()] = good
    setting.pass_by(TTL)
    setting.refuses(TokenRevoked)
    assert setting.fetched() == 2


def test_a_list_signed_with_a_new_key_is_accepted_once_the_issuer_publishes_the_key(setting):
    setting.verify()
    setting.issuer.publish(KEY, NEXT)
    setting.publish(5, key=NEXT)
    setting.pass_by(TTL)
    setting.refuses(TokenRevoked)


# -- over time ---------------------------------------------------------------------------------------------------------


def test_a_revocation_takes_effect_when_the_ttl_of_the_list_has_passed(setting):
    setting.verify()
    setting.publish(5)
    setting.pass_by(0.75 * TTL - 0.1)
    setting.verify()
    assert setting.fetched() == 1
    setting.pass_by(0.25 * TTL + 0.1)
    setting.refuses(TokenRevoked)


@pytest.mark.parametrize("back", [0.001, 3600])
def test_a_list_does_not_become_fresh_because_the_clock_was_set_back(setting, back):
    """Otherwise a revoked token would be valid until the clock has caught up."""
    setting.verify(5)
    setting.publish(5)
    setting.monotonic.now -= back
    setting.refuses(TokenRevoked, 5)
    assert setting.fetched() == 2


def test_a_list_is_renewed_in_the_background_without_waiting(setting):
    setting.verify()
    let_go = threading.Event()
    status, headers, body = setting.issuer.answers[setting.path()]

    def held_back(write):
        let_go.wait(5)
        write(body)

    setting.issuer.answers[setting.path()] = (status, headers, held_back)
    setting.pass_by(0.75 * TTL)
    start = time.monotonic()
    for _ in range(10):
        setting.verify()
    assert time.monotonic() - start < 2
    let_go.set()
    setting.settle()
    assert setting.fetched() == 2


def test_a_list_is_used_during_an_outage_until_it_expires(setting):
    setting.publish(6)
    setting.verify()
    with setting.issuer.away():
        for _ in range(9):
            setting.pass_by(33)
            setting.verify()
            setting.refuses(TokenRevoked, 6)
            setting.settle()
        setting.pass_by(LIFETIME - 9 * 33)
        setting.refuses()
    setting.pass_by(COOL_DOWN)
    setting.publish(6)
    setting.verify()


def test_serve_continues_with_an_expired_list_but_never_without_one():
    with Issuer() as issuer:
        setting = Setting(issuer, when_stale="serve")
        setting.publish(6)
        setting.publish(number=8)
        setting.verify()
        with issuer.away():
            setting.pass_by(5 * 3600)
            setting.verify()
            setting.refuses(TokenRevoked, 6)
            setting.refuses(number=8)
        setting.publish(5)
        setting.pass_by(OUTAGE)
        setting.refuses(TokenRevoked, 5)


def test_missing_and_unreasonable_ttls_are_limited(setting):
    for number, (ttl, kept) in enumerate([(None, 60), (1, LEAST_TTL), (10**9, 3600)]):
        setting.now, long = float(NOW), NOW + 10**6
        setting.publish(number=number, ttl=ttl, exp=long)
        setting.verify(number=number, exp=NOW + 80_000)
        setting.publish(5, number=number, exp=long)
        setting.pass_by(0.75 * kept - 0.1)
        setting.verify(number=number)
        setting.settle()
        assert setting.fetched(number) == 1
        setting.pass_by(0.25 * kept + 0.1)
        setting.refuses(TokenRevoked, number=number)


def test_a_failed_fetch_is_retried_only_after_a_pause(setting):
    setting.verifier.refresh()
    with setting.issuer.away():
        for _ in range(50):
            assert setting.refuses().retry_after == COOL_DOWN
        assert setting.fetched() == 1
        setting.pass_by(COOL_DOWN - 0.1)
        setting.refuses()
        assert setting.fetched() == 1
    setting.pass_by(0.1)
    setting.verify()


def test_the_number_of_lists_is_limited(setting):
    """128 KiB each: the oldest is dropped, and fetched again if a token still names it."""
    for number in range(MAX_LISTS + 10):
        setting.publish(5, number=number)
        setting.refuses(TokenRevoked, number=number)
    assert len(setting.lists._lists) == MAX_LISTS
    setting.refuses(TokenRevoked, number=MAX_LISTS)
    assert setting.fetched(MAX_LISTS) == 1
    setting.refuses(TokenRevoked, number=0)
    assert setting.fetched(0) == 2
    assert len(setting.lists._lists) == MAX_LISTS


# -- concurrency -------------------------------------------------------------------------------------------------------


def slowly(setting, seconds=0.2):
    status, headers, body = setting.issuer.answers[setting.path()]

    def answer(write):
        time.sleep(seconds)
        write(body)

    setting.issuer.answers[setting.path()] = (status, headers, answer)


def test_many_threads_cause_one_fetch(setting):
    """The first requests of a Flask app: each waits in its own thread."""
    slowly(setting)
    token, found = setting.token(), []
    threads = [threading.Thread(target=lambda: found.append(setting.verifier.verify(token))) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [claims.sub for claims in found] == ["acc_1"] * 32
    assert setting.fetched() == 1


async def test_many_tasks_cause_one_fetch_and_do_not_block_the_loop(setting):
    slowly(setting)
    await setting.verifier.refresh_async()
    waiting = asyncio.gather(*(setting.verifier.verify_async(setting.token()) for _ in range(32)))
    turns = 0
    while not waiting.done():
        turns += 1
        await asyncio.sleep(0.01)
    assert [claims.sub for claims in await waiting] == ["acc_1"] * 32
    assert turns > 5
    assert setting.fetched() == 1


async def test_verify_does_not_block_an_event_loop(setting):
    await setting.verifier.refresh_async()
    for verifier in (setting.verifier, setting.pure):
        setting.lists._lists.clear()
        with pytest.raises(RevocationsUnknown, match="event loop") as caught:
            verifier.verify(setting.token())
        assert (caught.value.status, caught.value.retry_after) == (503, 1)
        await asyncio.to_thread(setting.settle)
        assert verifier.verify(setting.token()).sub == "acc_1"


async def test_verify_async_refuses_as_verify_does(setting):
    setting.publish(5)
    with pytest.raises(TokenRevoked):
        await setting.verifier.verify_async(setting.token(5))
    with pytest.raises(ClaimRejected):
        await setting.verifier.verify_async(setting.token(SIZE))
    with pytest.raises(RevocationsUnknown):
        await setting.verifier.verify_async(setting.token(number=8))


def test_without_keys_revocations_are_unavailable_and_the_token_is_not_revoked():
    with Issuer() as issuer, issuer.away():
        setting = Setting(issuer)
        with pytest.raises(Unavailable):
            setting.verify()
        with pytest.raises(RevocationsUnknown):
            setting.pure.verify(setting.token())


def test_parameters_are_checked_by_the_constructor():
    keys = RemoteKeys("https://auth.example.com")
    for wrong in ({"when_stale": ""}, {"leeway": -1}, {"leeway": 1000}):
        with pytest.raises(ConfigurationError):
            StatusLists(keys, **wrong)
