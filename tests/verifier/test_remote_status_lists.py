"""Status lists of an issuer elsewhere: fetched once, renewed, kept through outages, never believed blindly."""

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
    """An issuer with status lists, and a verifier of its tokens whose clocks the test moves."""

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
        """Waits until no fetch is under way."""
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


# -- what it is --------------------------------------------------------------------------------------------------------


def test_a_token_whose_bit_is_set_is_revoked_and_no_other(setting):
    setting.publish(5, 8, SIZE - 1)
    for idx in (5, 8, SIZE - 1):
        setting.refuses(TokenRevoked, idx)
    for idx in (0, 4, 6, 7, 9, SIZE - 2):
        assert setting.verify(idx).sub == "acc_1"
    assert setting.fetched() == 1


@pytest.mark.parametrize("status", [1, 2, 3])
def test_every_status_but_valid_is_refused(setting, status):
    """Also suspended (2) and what only the issuer knows (3)."""
    setting.publish(status_list=EncodedStatusList(2, encode(bytes([0, status << 2]))))
    setting.refuses(TokenRevoked, 5)
    assert setting.verify(4).sub == "acc_1"


def test_verifier_remote_honours_the_claim_without_being_told(setting):
    setting.publish(5)
    verifier = Verifier.remote(setting.issuer.url, audience=AUDIENCE, development=True, clock=setting.clock)
    with pytest.raises(TokenRevoked):
        verifier.verify(setting.token(5))
    assert verifier.verify(setting.token(6)).sub == "acc_1"


def test_the_list_is_asked_for_by_its_media_type(setting):
    setting.verify()
    headers = dict(setting.issuer.heard)[setting.path()]
    assert headers["Accept"] == "application/statuslist+jwt"
    assert "Authorization" not in headers


def test_a_token_without_the_claim_is_as_before_and_asks_for_nothing(setting):
    token = setting.token(status=None)
    assert setting.verifier.verify(token).status is None
    assert setting.fetched() == 0


def test_who_passes_revocations_gets_those_and_nothing_else(setting):
    """Also when they are empty: as a truth value they are false."""
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


def test_a_verifier_with_keys_at_hand_can_use_them(setting):
    setting.publish(5)
    with pytest.raises(TokenRevoked):
        setting.pure.verify(setting.token(5))
    assert setting.pure.verify(setting.token(6)).sub == "acc_1"


async def test_a_verifier_with_keys_at_hand_can_use_them_in_an_event_loop(setting):
    setting.publish(5)
    headers = [(b"authorization", f"Bearer {setting.token(6)}".encode())]
    principal = await TokenAuthenticator(setting.pure).authenticate_async(headers, method="GET")
    assert principal.account_id == "acc_1"
    with pytest.raises(TokenRevoked):
        await setting.pure.verify_async(setting.token(5))


def test_everything_else_about_a_token_is_judged_before_its_list_is_asked(setting):
    """§8.3. Else anybody could make us fetch, by a token that nobody signed."""
    forged = setting.token()[:-4] + "AAAA"
    for token in (forged, setting.token(exp=NOW - 100, iat=NOW - 200), setting.token(aud="https://other")):
        with pytest.raises(Exception, match=r"signature|expired|audience"):
            setting.verifier.verify(token)
    assert setting.fetched() == 0


# -- where lists may be ------------------------------------------------------------------------------------------------


def test_s20_a_list_at_another_origin_is_not_fetched(setting):
    """Else a token could make every service call anybody (SSRF)."""
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
def test_s20_what_is_no_plain_url_of_the_issuer_is_refused(setting, uri):
    setting.refuses(ClaimRejected, uri=uri.format(origin=setting.issuer.origin))
    assert set(setting.issuer.asked) <= {JWKS, "/.well-known/oauth-authorization-server"}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_c4_a_redirect_is_not_followed(setting, status):
    with Issuer() as canary:
        setting.issuer.answers[setting.path()] = (status, {"location": canary.origin + setting.path()}, b"")
        setting.refuses()
        assert not canary.asked


@pytest.mark.parametrize("idx", [SIZE, SIZE + 7, 2**40])
def test_a_place_outside_the_list_is_refused(setting, idx):
    setting.refuses(ClaimRejected, idx)


# -- what may be a list ------------------------------------------------------------------------------------------------

NOT_A_LIST = {
    "of another uri": {"sub": "https://auth.example.com/auth/status/8"},
    "of another issuer": {"iss": "https://evil.example"},
    "signed by nobody we know": {"key": NEXT},
    "signed by one who calls himself like the issuer": {"key": SigningKey.generate("ES256", kid=KEY.kid)},
    "an access token by its type": {"typ": "at+jwt"},
    "without a type": {"typ": None},
    "as JSON": {"media": "application/json"},
    "as a page": {"media": "text/html"},
    "expired": {"iat": NOW - 400, "exp": NOW - LEEWAY},
    "of the future": {"iat": NOW + LEEWAY + 1, "exp": NOW + 900},
    "a zlib bomb": {"status_list": EncodedStatusList(1, encode(b"\0" * 50_000_000))},
    "cut off": {"status_list": EncodedStatusList(1, encode(b"\0" * 1000)[:-6])},
}


@pytest.mark.parametrize("name", NOT_A_LIST)
def test_s20_what_is_not_the_issuers_list_lets_nobody_in(setting, name, caplog):
    setting.publish(**NOT_A_LIST[name])
    error = setting.refuses()
    assert (error.status, error.retry_after) == (503, COOL_DOWN)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert lines[0].startswith(f"the status list {setting.uri()} could not be fetched: ")


@pytest.mark.parametrize("body", [b"", b"a.b.c", b"\xff\xfe", b"x" * 300_000, b"<html>"])
def test_garbage_lets_nobody_in(setting, body):
    setting.issuer.answers[setting.path()] = (200, {"content-type": "application/statuslist+jwt"}, body)
    setting.refuses()


def test_a_list_that_does_not_exist_lets_nobody_in(setting):
    setting.issuer.answers[setting.path()] = (404, {}, b"")
    setting.refuses()


def test_s19_an_old_list_shown_again_does_not_take_a_revocation_back(setting):
    good = setting.issuer.answers[setting.path()]
    setting.pass_by(TTL)
    setting.publish(5)
    setting.refuses(TokenRevoked)
    setting.issuer.answers[setting.path()] = good
    setting.pass_by(TTL)
    setting.refuses(TokenRevoked)
    assert setting.fetched() == 2


def test_a_list_signed_with_a_new_key_is_believed_when_the_issuer_publishes_the_key(setting):
    setting.verify()
    setting.issuer.publish(KEY, NEXT)
    setting.publish(5, key=NEXT)
    setting.pass_by(TTL)
    setting.refuses(TokenRevoked)


# -- over time ---------------------------------------------------------------------------------------------------------


def test_a_revocation_is_known_when_the_list_is_as_old_as_it_may_be(setting):
    setting.verify()
    setting.publish(5)
    setting.pass_by(0.75 * TTL - 0.1)
    setting.verify()
    assert setting.fetched() == 1
    setting.pass_by(0.25 * TTL + 0.1)
    setting.refuses(TokenRevoked)


def test_a_list_is_renewed_in_the_background_and_nobody_waits(setting):
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


def test_in_an_outage_a_list_is_used_until_it_expires_and_then_nobody_is_let_in(setting):
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


def test_who_chose_to_serve_goes_on_with_an_expired_list_but_never_without_one():
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


def test_a_list_without_ttl_and_one_with_a_silly_one_are_renewed_in_bounds(setting):
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


def test_a_list_that_could_not_be_fetched_is_asked_for_again_after_a_pause_and_not_before(setting):
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


def test_the_number_of_lists_is_bounded(setting):
    """128 KiB each: the oldest goes, and is fetched again if somebody still names it."""
    for number in range(MAX_LISTS + 10):
        setting.publish(5, number=number)
        setting.refuses(TokenRevoked, number=number)
    assert len(setting.lists._lists) == MAX_LISTS
    setting.refuses(TokenRevoked, number=MAX_LISTS)
    assert setting.fetched(MAX_LISTS) == 1
    setting.refuses(TokenRevoked, number=0)
    assert setting.fetched(0) == 2
    assert len(setting.lists._lists) == MAX_LISTS


# -- many at once ------------------------------------------------------------------------------------------------------


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


async def test_many_tasks_cause_one_fetch_and_the_loop_goes_on(setting):
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


async def test_in_an_event_loop_verify_does_not_wait(setting):
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


def test_without_keys_it_is_unavailable_and_not_revoked():
    with Issuer() as issuer, issuer.away():
        setting = Setting(issuer)
        with pytest.raises(Unavailable):
            setting.verify()
        with pytest.raises(RevocationsUnknown):
            setting.pure.verify(setting.token())


def test_keys_and_parameters_are_checked_when_it_is_made():
    keys = RemoteKeys("https://auth.example.com")
    for wrong in ({"when_stale": ""}, {"leeway": -1}, {"leeway": 1000}):
        with pytest.raises(ConfigurationError):
            StatusLists(keys, **wrong)
