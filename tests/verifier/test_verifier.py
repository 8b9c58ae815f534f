"""`Verifier`: every rule holds at its exact boundary, on the first call and on every later one."""

import json
import math
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.errors import (
    BadSignature,
    ClaimRejected,
    ConfigurationError,
    InvalidToken,
    KeyRejected,
    MalformedToken,
    RevocationsUnknown,
    TokenExpired,
    TokenRevoked,
)
from ostiary.jose import KeySet, SigningKey, VerifyingKey, base64url, sign
from ostiary.verifier import AccessToken, Confirmation, KnownRevocations, Verifier, encode_access_token
from ostiary.verifier.verifier import CACHED_TOKENS, MAX_LEEWAY, MAX_LIFETIME
from tests.verifier.material import (
    AUDIENCE,
    CLAIMS,
    ISSUER,
    KEY,
    LEEWAY,
    NOW,
    SECRET,
    access_token,
    issue,
    issue_claims,
    issue_json,
    revocations,
    verifier,
)

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def refused(token, error, *, by=None, now=None, **parameters):
    """The token is refused with exactly this error, on the first call and on the next."""
    checking = by or verifier()
    for _ in range(2):
        with pytest.raises(InvalidToken) as caught:
            checking.verify(token, now=now, **parameters)
        assert caught.type is error


def accepted(token, *, by=None, now=None, **parameters):
    checking = by or verifier()
    first = checking.verify(token, now=now, **parameters)
    assert checking.verify(token, now=now, **parameters) is first
    return first


def test_a_valid_token_gives_its_claims():
    assert accepted(issue()) == access_token()


def test_the_clock_is_used_if_the_caller_passes_no_time():
    checking = verifier(clock=lambda: NOW + 5000)
    refused(issue(), TokenExpired, by=checking)
    accepted(issue(), by=checking, now=NOW)


# -- time --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("warm", [False, True])
def test_j18_exp_is_checked_to_the_second(warm):
    """RFC 7519 §4.1.4: the token is expired on or after exp. The leeway is exact to the second."""
    checking, token = verifier(), issue(exp=NOW + 100)
    if warm:
        accepted(token, by=checking)
    accepted(token, by=checking, now=NOW + 100 + LEEWAY - 1)
    accepted(token, by=checking, now=NOW + 100 + LEEWAY - 0.001)
    refused(token, TokenExpired, by=checking, now=NOW + 100 + LEEWAY)
    refused(token, TokenExpired, by=verifier(leeway=0), now=NOW + 100)
    accepted(token, by=verifier(leeway=0), now=NOW + 99.999)


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_b2_nbf_and_iat_are_checked_to_the_second(claim, warm):
    checking, token = verifier(), issue(**{"iat": NOW, claim: NOW + 50, "exp": NOW + 900})
    if warm:
        accepted(token, by=checking, now=NOW + 50)
    accepted(token, by=checking, now=NOW + 50 - LEEWAY)
    refused(token, ClaimRejected, by=checking, now=NOW + 50 - LEEWAY - 0.001)


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf])
def test_every_token_is_refused_if_the_clock_returns_nan(now):
    """nan <= x and nan >= x are both false. A comparison written the other way round would accept the token."""
    checking = verifier()
    accepted(issue(), by=checking)
    for attempt in (checking, verifier()):
        with pytest.raises(InvalidToken):
            attempt.verify(issue(), now=now)


def test_b2_lifetimes_above_the_limit_are_refused():
    accepted(issue(exp=NOW + MAX_LIFETIME))
    refused(issue(exp=NOW + MAX_LIFETIME + 1), ClaimRejected)
    refused(issue(exp=NOW), ClaimRejected)
    refused(issue(exp=NOW - 1), ClaimRejected)
    refused(issue(exp=253_402_300_799), ClaimRejected)


def test_a_token_cannot_be_issued_before_its_sign_in():
    accepted(issue(auth_time=NOW + LEEWAY))
    refused(issue(auth_time=NOW + LEEWAY + 1), ClaimRejected)


# -- issuer and audience -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "iss",
    [
        *(
            ISSUER[:-1],
            ISSUER + "/",
            ISSUER.upper(),
            "https://AUTH.example.com",
            ISSUER + "/..",
            "https://auth.example.com.",
        ),
        *(
            "https://auth\u2024example.com",
            "https://evil",
            ISSUER + "\0",
            ISSUER + " ",
            "http://auth.example.com",
            "https://",
        ),
    ],
)
def test_j20_iss_must_match_exactly(iss):
    refused(issue_claims(iss=iss), ClaimRejected)


@pytest.mark.parametrize("iss", [["https://evil", ISSUER], [ISSUER], {ISSUER: 1}, None, 5, True, ""])
def test_j20_iss_of_the_wrong_type_is_refused(iss):
    refused(issue_claims(iss=iss), ClaimRejected)


@pytest.mark.parametrize(
    "aud",
    [
        *("", AUDIENCE[:-1], AUDIENCE + "/", AUDIENCE.upper(), AUDIENCE + ".evil", "orders", ISSUER),
        *(
            [],
            [""],
            ["other"],
            ["other", [AUDIENCE]],
            [AUDIENCE, 5],
            [AUDIENCE, None],
            {},
            {AUDIENCE: 1},
            None,
            5,
            True,
        ),
    ],
)
def test_j21_aud_must_equal_or_contain_our_audience_exactly(aud):
    refused(issue_claims(aud=aud), ClaimRejected)


def test_j21_aud_may_be_a_string_or_an_array():
    assert accepted(issue(aud=AUDIENCE)).aud == AUDIENCE
    assert accepted(issue(aud=("https://other", AUDIENCE))).aud == ("https://other", AUDIENCE)


@pytest.mark.parametrize("claim", CLAIMS)
def test_j19_missing_claims_are_refused(claim):
    refused(issue_claims(claim), ClaimRejected)


def test_j22_a_key_of_another_issuer_never_verifies_a_token():
    other = SigningKey.generate("ES256", kid=KEY.kid)
    forged = sign(encode_access_token(access_token()), other, typ="at+jwt")
    refused(forged, BadSignature)
    refused(forged, ClaimRejected, by=verifier(issuer="https://other.example.com", keys=[other.public]))


@pytest.mark.parametrize("typ", [None, "JWT", "dpop+jwt", "logout+jwt", "refresh+jwt", "at+jwt; x=1", "secevent+jwt"])
def test_j23_tokens_of_another_kind_are_refused(typ):
    refused(issue_json(CLAIMS, typ=typ), ClaimRejected)


@pytest.mark.parametrize("typ", ["AT+JWT", "application/at+jwt", "Application/AT+JWT"])
def test_b9_other_spellings_of_the_kind_are_accepted(typ):
    accepted(issue_json(CLAIMS, typ=typ))


@pytest.mark.parametrize(
    "payload", [b"null", b"[]", b'"x"', b"1", b"true", b"", b"{}\n", b'{"sub":"a","sub":"b"}', b"\xff"]
)
def test_j15_j16_j17_payloads_that_are_not_strict_objects_are_refused(payload):
    refused(issue_json(payload), MalformedToken)


def test_additional_claims_are_kept_and_duplicate_claims_are_refused():
    assert accepted(issue_json({**CLAIMS, "tenant": {"id": 5}})).extra == {"tenant": {"id": 5}}
    refused(issue_json(json.dumps(CLAIMS).encode()[:-1] + b',"exp":9999999999}'), MalformedToken)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_signed_payload_is_read_unambiguously_or_refused_as_an_invalid_token(data):
    """Payloads with random edits and a valid signature: two readers must agree on what they contain."""
    payload = json.dumps({**CLAIMS, "extra": ["x", {"y": 1.5}]}).encode()
    for _ in range(data.draw(st.integers(0, 2))):
        place = data.draw(st.integers(0, len(payload)))
        inserted = data.draw(st.sampled_from(EDITS))
        payload = payload[:place] + inserted + payload[place + data.draw(st.integers(0, 3)) :]
    try:
        token = verifier().verify(issue_json(payload))
    except InvalidToken:
        return
    read = json.loads(payload.decode("utf-8"))
    assert (token.iss, token.aud, token.sub, token.exp) == (ISSUER, AUDIENCE, read["sub"], read["exp"])
    assert list(token.roles) == read["roles"]
    assert set(token.extra) == set(read) - set(AccessToken.__struct_fields__)


EDITS = [
    b"",
    b'"',
    b",",
    b"1",
    b"0",
    b"-",
    b"e9",
    b"\\",
    b"\xff",
    b"\xc3\xa9",
    b"\0",
    b" ",
    b"null",
    b'"sub":"x",',
    b"[",
    b"}",
    b".",
]


def test_j36_a_bad_signature_is_reported_before_any_claim():
    """CVE-2024-51744: nothing in an unsigned token is trusted, not even that it has expired."""
    for token in (issue(exp=NOW - 100, iat=NOW - 200), issue(iss="https://evil"), issue(aud="x"), issue_json(b"[]")):
        head, payload, _ = token.split(".")
        refused(f"{head}.{payload}.{'A' * 86}", BadSignature)
    refused(issue_json(b"[]", typ="JWT")[:-86] + "A" * 86, BadSignature)


def test_j36_the_kind_is_reported_before_the_claims():
    with pytest.raises(ClaimRejected, match="kind"):
        verifier().verify(issue_json(b"[]", typ="JWT"))


@pytest.mark.parametrize("token", [None, 5, b"a.b.c", "", ".", "..", "a.b.c", [], {}, object(), "x" * 1_000_000, "é"])
def test_text_that_is_not_a_token_is_malformed(token):
    refused(token, MalformedToken)


def test_j29_an_oversized_token_is_refused_before_the_cache_is_read():
    """A look-up hashes the text, which takes milliseconds for each new text of 10 MB."""
    checking = verifier()
    giants = ["A" * (10_000_000 + number) for number in range(6)]
    hashing = _seconds(lambda: [hash(giant) for giant in giants[:3]])
    refusing = _seconds(lambda: [refused(giant, MalformedToken, by=checking) for giant in giants[3:]])
    assert refusing < hashing / 5


def _seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


# -- binding -----------------------------------------------------------------------------------------------------------


def test_d10_a_bound_token_is_valid_only_with_its_key_and_unbound_tokens_only_without_a_proof():
    """Using a stolen bound token as plain Bearer is the downgrade that the binding prevents (RFC 9449 §7.2)."""
    bound = issue(cnf=Confirmation("thumbprint"))
    refused(bound, ClaimRejected)
    refused(bound, ClaimRejected, proven_key="another")
    refused(bound, ClaimRejected, proven_key="")
    assert accepted(bound, proven_key="thumbprint").cnf == Confirmation("thumbprint")
    refused(issue(), ClaimRejected, proven_key="thumbprint")


def test_d10_the_binding_of_a_cached_token_is_still_checked():
    checking, bound = verifier(), issue(cnf=Confirmation("thumbprint"))
    accepted(bound, by=checking, proven_key="thumbprint")
    refused(bound, ClaimRejected, by=checking)


# -- revocations and the cache -----------------------------------------------------------------------------------------


def test_the_revocation_of_a_cached_token_is_still_checked():
    known = revocations()
    checking, token = verifier(revocations=known), issue()
    accepted(token, by=checking)
    known.end_session("session-1", until=NOW + 1000)
    refused(token, TokenRevoked, by=checking)


def test_unknown_revocations_give_503_and_not_401():
    state = {"fresh": True}
    checking, token = verifier(revocations=KnownRevocations(fresh=lambda: state["fresh"])), issue()
    accepted(token, by=checking)
    state["fresh"] = False
    with pytest.raises(RevocationsUnknown) as caught:
        checking.verify(token)
    assert caught.value.status == 503
    refused(issue(exp=NOW - 100, iat=NOW - 200), TokenExpired, by=checking)


def malleated(token):
    """The same token with the other valid signature (r, n - s)."""
    message, _, signature = token.rpartition(".")
    raw = base64url.decode(signature.encode())
    s = P256_ORDER - int.from_bytes(raw[32:], "big")
    return f"{message}.{base64url.encode(raw[:32] + s.to_bytes(32, 'big')).decode()}"


@pytest.mark.parametrize("revoke", ["end_session", "revoke_token", "raise_epoch"])
def test_b11_a_revoked_token_stays_revoked_with_its_other_signature(revoke):
    """ECDSA signatures come in pairs. A list of revoked texts would miss the second one."""
    known = revocations()
    checking, token = verifier(revocations=known), issue()
    twin = malleated(token)
    assert twin != token
    assert accepted(twin, by=checking) == accepted(token, by=checking)
    {
        "end_session": lambda: known.end_session("session-1", NOW + 1000),
        "revoke_token": lambda: known.revoke_token("token-1", NOW + 1000),
        "raise_epoch": lambda: known.raise_epoch("acc_1", 4, NOW + 1000),
    }[revoke]()
    refused(token, TokenRevoked, by=checking)
    refused(twin, TokenRevoked, by=checking)


def test_j41_a_removed_key_verifies_no_token_not_even_cached_ones():
    following = SigningKey.generate("ES256")
    checking, token = verifier(), issue()
    accepted(token, by=checking)
    checking.replace_keys([following.public])
    refused(token, BadSignature, by=checking)
    checking.replace_keys([following.public, KEY.public])
    accepted(token, by=checking)
    checking.replace_keys([])
    refused(token, BadSignature, by=checking)


def test_ambiguous_keys_do_not_replace_the_current_keys():
    checking, token = verifier(), issue()
    with pytest.raises(KeyRejected):
        checking.replace_keys([KEY.public, KEY.public])
    accepted(token, by=checking)


def test_j41_a_verification_that_outlasts_its_key_is_not_cached():
    """The keys are replaced while another thread is verifying with the old ones."""
    begun, replaced = threading.Event(), threading.Event()

    def matches(signature, message):
        begun.set()
        assert replaced.wait(5)
        return KEY.public.matches(signature, message)

    slow = VerifyingKey.from_jwk(KEY.public.to_jwk())
    slow.matches = matches
    checking, token = verifier(keys=[slow]), issue()
    thread = threading.Thread(target=checking.verify, args=(token,))
    thread.start()
    assert begun.wait(5)
    checking.replace_keys([])
    replaced.set()
    thread.join(5)
    refused(token, BadSignature, by=checking)


def test_the_cache_matches_only_the_exact_text():
    checking, token = verifier(), issue()
    for _ in range(2):
        refused(token[:-4] + "AAAA", BadSignature, by=checking)
        refused(token + "AAAA", BadSignature, by=checking)
        refused(token[:-1], MalformedToken, by=checking)
        accepted(token, by=checking)


def test_the_cache_is_limited_and_drops_the_oldest_tokens():
    checking = verifier(keys=[SECRET])
    tokens = [
        sign(encode_access_token(access_token(jti=f"{n}")), SECRET, typ="at+jwt") for n in range(CACHED_TOKENS + 10)
    ]
    first = checking.verify(tokens[0])
    for token in tokens:
        checking.verify(token)
    known = checking._known
    assert len(known.young) + len(known.old) <= CACHED_TOKENS
    assert checking.verify(tokens[-1]) is checking.verify(tokens[-1])
    assert checking.verify(tokens[0]) is not first
    assert checking.verify(tokens[0]) == first


def test_threads_can_share_a_verifier():
    checking = verifier(keys=[SECRET])
    tokens = [issue_json({**CLAIMS, "jti": f"{n}"}, key=SECRET) for n in range(200)]
    wrong = []

    def work():
        for n, token in enumerate(tokens * 3):
            if checking.verify(token).jti != f"{n % 200}":
                wrong.append(n)
            if n % 50 == 0:
                checking.replace_keys(KeySet([SECRET]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert wrong == []


# -- verify_for --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("audience", [ISSUER, "https://files.example.com", (ISSUER, "https://files.example.com")])
def test_l22_a_token_for_any_of_the_audiences_is_verified(audience):
    asked = {ISSUER, "https://files.example.com"}
    assert verifier().verify_for(issue(aud=audience), asked).aud == audience


@pytest.mark.parametrize("asked", [(), {ISSUER}, [AUDIENCE + "/"], (AUDIENCE.upper(),), AUDIENCE])
def test_l22_a_token_for_none_of_the_audiences_is_refused_even_if_it_is_for_us(asked):
    with pytest.raises(ClaimRejected, match="audience"):
        verifier().verify_for(issue(), asked)


def test_a_token_verified_for_another_audience_is_not_valid_for_ours():
    checking, token = verifier(), issue(aud=ISSUER)
    for _ in range(2):
        assert checking.verify_for(token, {ISSUER}).aud == ISSUER
        refused(token, ClaimRejected, by=checking)


def test_l22_every_other_rule_still_holds():
    known = revocations()
    checking = verifier(revocations=known)
    for token, error in (
        ("x" * 20_000, MalformedToken),
        (None, MalformedToken),
        (issue()[:-4] + "AAAA", BadSignature),
        (issue(iss="https://evil"), ClaimRejected),
        (issue(exp=NOW - LEEWAY, iat=NOW - 200), TokenExpired),
        (issue(iat=NOW + LEEWAY + 1), ClaimRejected),
        (issue(exp=NOW + MAX_LIFETIME + 1), ClaimRejected),
        (issue_json(CLAIMS, typ="JWT"), ClaimRejected),
    ):
        with pytest.raises(InvalidToken) as caught:
            checking.verify_for(token, {AUDIENCE})
        assert caught.type is error
    with pytest.raises(TokenExpired):
        checking.verify_for(issue(), {AUDIENCE}, now=NOW + 5000)
    known.revoke_token("token-1", NOW + 1000)
    with pytest.raises(TokenRevoked):
        checking.verify_for(issue(), {AUDIENCE})


def test_l22_a_bound_token_is_returned_without_a_proof_but_admits_no_caller():
    """The resource server reads ``cnf`` in the answer and checks the proof."""
    checking, token = verifier(), issue(cnf=Confirmation(jkt="thumbprint"))
    assert checking.verify_for(token, {AUDIENCE}).cnf == Confirmation(jkt="thumbprint")
    refused(token, ClaimRejected, by=checking)


# -- issued: ending a session with an expired token --------------------------------------------------------------------


def test_issued_reads_expired_and_revoked_tokens():
    known = revocations()
    known.end_session("session-1", NOW + 1000)
    checking = verifier(revocations=known)
    assert checking.issued(issue()).sid == "session-1"
    assert checking.issued(issue(exp=NOW - 100, iat=NOW - 200, sid="session-2")).sid == "session-2"
    assert checking.issued(issue(aud="https://files.example.com")).sid == "session-1"


def test_issued_refuses_tokens_that_the_issuer_did_not_sign():
    for token, error in (
        (malformed := "a.b.c", MalformedToken),
        (issue()[:-4] + "AAAA", BadSignature),
        (issue(iss="https://evil"), ClaimRejected),
        (issue_json(CLAIMS, typ="JWT"), ClaimRejected),
        (malformed + ".d", MalformedToken),
    ):
        with pytest.raises(error):
            verifier().issued(token)


def test_issued_does_not_make_an_expired_token_valid():
    checking, token = verifier(), issue(exp=NOW - 100, iat=NOW - 200)
    checking.issued(token)
    refused(token, TokenExpired, by=checking)
    foreign = issue(aud="https://files.example.com")
    checking.issued(foreign)
    refused(foreign, ClaimRejected, by=checking)


# -- construction ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leeway", [-1, MAX_LEEWAY + 1, 1.5, math.nan, math.inf, True, "30", None])
def test_s18_leeway_is_limited(leeway):
    with pytest.raises(ConfigurationError, match="leeway"):
        verifier(leeway=leeway)


@pytest.mark.parametrize("name", ["issuer", "audience"])
@pytest.mark.parametrize("value", ["", None, 5, ["https://auth.example.com"], b"x"])
def test_issuer_and_audience_must_be_strings(name, value):
    with pytest.raises(ConfigurationError, match=name):
        verifier(**{name: value})


@pytest.mark.parametrize("missing", ["keys", "issuer", "audience"])
def test_required_parameters_have_no_default(missing):
    parameters = {"keys": [KEY.public], "issuer": ISSUER, "audience": AUDIENCE}
    del parameters[missing]
    with pytest.raises(TypeError, match=missing):
        Verifier(**parameters)


def test_the_default_clock_is_the_system_clock():
    far = 250_000_000_000
    with pytest.raises(ClaimRejected, match="yet"):
        Verifier(keys=[KEY.public], issuer=ISSUER, audience=AUDIENCE).verify(issue(iat=far, exp=far + 900))
    with pytest.raises(TokenExpired):
        Verifier(keys=[KEY.public], issuer=ISSUER, audience=AUDIENCE).verify(issue(iat=2000, exp=2900, auth_time=1000))
