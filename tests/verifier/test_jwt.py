"""`JwtVerifier`: verifies tokens of other kinds and issuers by given rules, each issuer with its own keys."""

import json
import math

import pytest

from ostiary.errors import BadSignature, ClaimRejected, ConfigurationError, InvalidToken, MalformedToken, TokenExpired
from ostiary.jose import HmacKey, KeySet, SigningKey, base64url, sign, verify
from ostiary.verifier import Claims, Expectation, JwtVerifier, RemoteKeys, Verifier
from tests.verifier.issuers import JWKS, METADATA, Issuer
from tests.verifier.material import CLAIMS as ACCESS_CLAIMS
from tests.verifier.material import LEEWAY, NOW

ISSUER, OTHER = "https://id.example.com", "https://login.example.net/tenant"
CLIENT = "client-7"
KEY = SigningKey.generate("ES256", kid="same")
OTHER_KEY = SigningKey.generate("ES256", kid="same")
ID_TOKEN = Expectation(typ="JWT", required=("sub", "iat", "nonce"))

CLAIMS = {
    "iss": ISSUER,
    "sub": "248289761001",
    "aud": CLIENT,
    "exp": NOW + 600,
    "iat": NOW,
    "nonce": "n-0S6_WzA2Mj",
    "address": {"countries": ["AT", "CH"]},
}


def verifier(expectation=ID_TOKEN, **changes):
    parameters = {
        "issuers": {ISSUER: [KEY.public], OTHER: [OTHER_KEY.public]},
        "audience": CLIENT,
        "leeway": LEEWAY,
        "clock": lambda: NOW,
    }
    return JwtVerifier(expectation=expectation, **{**parameters, **changes})


def issue(*without, key=KEY, typ="JWT", **changes):
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if name not in without}
    return sign(json.dumps(claims).encode(), key, typ=typ)


def refused(token, error=ClaimRejected, *, by=None, now=None):
    with pytest.raises(InvalidToken) as caught:
        (by or verifier()).verify(token, now=now)
    assert caught.type is error


def test_a_valid_token_gives_typed_registered_claims_and_read_only_others():
    claims = verifier().verify(issue(jti="7", nbf=NOW))
    assert (claims.iss, claims.sub, claims.aud, claims.exp) == (ISSUER, "248289761001", CLIENT, NOW + 600)
    assert (claims.iat, claims.nbf, claims.jti) == (NOW, NOW, "7")
    assert claims.extra["nonce"] == "n-0S6_WzA2Mj"
    assert claims.extra["address"]["countries"] == ("AT", "CH")
    for change in (
        lambda: setattr(claims, "sub", "x"),
        lambda: claims.extra.update(a=1),
        lambda: claims.extra["address"].clear(),
    ):
        with pytest.raises((AttributeError, TypeError)):
            change()


def test_missing_optional_claims_are_none():
    claims = verifier(Expectation(typ="JWT", required=())).verify(issue("sub", "iat", "nonce", "address"))
    assert claims == Claims(iss=ISSUER, aud=CLIENT, exp=NOW + 600, extra={})


# -- issuers -----------------------------------------------------------------------------------------------------------


def test_b5_each_issuer_is_verified_with_its_own_keys():
    assert verifier().verify(issue(iss=OTHER, key=OTHER_KEY)).iss == OTHER


def test_j22_no_issuer_can_sign_for_another_even_with_the_same_kid():
    refused(issue(key=OTHER_KEY), BadSignature)
    refused(issue(iss=OTHER, key=KEY), BadSignature)


@pytest.mark.parametrize(
    "iss",
    [ISSUER + "/", ISSUER[:-1], ISSUER.upper(), "https://id.example.com.", "https://id\u2024example.com", "",
     ISSUER + "\0", "https://id.example.com/../", OTHER.rpartition("/")[0]],
)  # fmt: skip
def test_j20_iss_must_match_exactly(iss):
    refused(issue(iss=iss))


@pytest.mark.parametrize("iss", [["https://evil", ISSUER], [ISSUER], {ISSUER: 1}, None, 5, True])
def test_j20_iss_of_the_wrong_type_is_refused(iss):
    refused(issue(iss=iss))


def test_j15_a_token_with_two_issuers_is_refused():
    payload = json.dumps(CLAIMS).encode()
    for doubled in (
        payload[:-1] + f',"iss":"{OTHER}"}}'.encode(),
        payload[:-1] + f',"\\u0069ss":"{OTHER}"}}'.encode(),
    ):
        refused(sign(doubled, KEY, typ="JWT"), MalformedToken)


# -- the kind ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typ", [None, "at+jwt", "dpop+jwt", "logout+jwt", "jwt; x=1", "JOSE", "application/jwt+json"])
def test_j23_tokens_of_another_kind_are_refused(typ):
    refused(issue(typ=typ))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "application/jwt"])
def test_b9_typ_is_compared_as_a_media_type(typ):
    assert verifier().verify(issue(typ=typ)).sub == "248289761001"


def test_b9_tokens_without_typ_must_be_expected_explicitly():
    untyped = verifier(Expectation(typ=None, required=("sub",)))
    assert untyped.verify(issue(typ=None)).iss == ISSUER
    refused(issue(typ="JWT"), by=untyped)
    for missing in ({}, {"typ": "JWT"}, {"required": ()}):
        with pytest.raises(TypeError):
            Expectation(**missing)


def test_j23_access_tokens_and_id_tokens_are_not_confused():
    """Every kind against every expectation, for one issuer and audience: only its own matches (RFC 8725bis §3.12)."""
    access = {**ACCESS_CLAIMS, "iss": ISSUER, "aud": CLIENT}
    event = {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}
    logout = {name: CLAIMS[name] for name in ("iss", "sub", "aud", "exp", "iat")} | {"jti": "1"} | event
    issued = {
        "access": sign(json.dumps(access).encode(), KEY, typ="at+jwt"),
        "id": issue(),
        "logout": sign(json.dumps(logout).encode(), KEY, typ="logout+jwt"),
        "untyped id": issue(typ=None),
        "untyped logout": sign(json.dumps(logout).encode(), KEY, typ=None),
    }
    expectations = {
        "access": Expectation(typ="at+jwt", required=("client_id", "sub")),
        "id": ID_TOKEN,
        "logout": Expectation(typ="logout+jwt", required=("events", "jti")),
        "untyped id": Expectation(typ=None, required=("nonce",)),
        "untyped logout": Expectation(typ=None, required=("events",)),
    }
    for expected, expectation in expectations.items():
        for kind, token in issued.items():
            if kind == expected:
                verifier(expectation).verify(token)
            else:
                refused(token, by=verifier(expectation))


# -- claims ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "sub", "iat", "nonce"])
def test_j19_required_claims_must_be_present(claim):
    refused(issue(claim))
    refused(issue(**{claim: None}))


@pytest.mark.parametrize(
    "aud",
    ["", CLIENT + "0", CLIENT[:-1], CLIENT.upper(), [], [""], ["x"], ["x", [CLIENT]], [CLIENT, 5], [CLIENT, None],
     {CLIENT: 1}, None, 5, True],
)  # fmt: skip
def test_j21_aud_must_equal_or_contain_our_audience_exactly(aud):
    refused(issue(aud=aud))


def test_j21_aud_may_be_an_array():
    assert verifier().verify(issue(aud=["x", CLIENT])).aud == ("x", CLIENT)


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "value",
    ["1900000000", "1.8e9", True, False, None, [], {}, [NOW], -1, -1.5, 1e300, -1e300, 2.6e11, 10**30,
     9007199254740993, "now"],
)  # fmt: skip
def test_j18_times_are_numbers_in_a_sensible_range_and_the_refusal_names_the_claim(claim, value):
    with pytest.raises(ClaimRejected, match=f"^{claim}: "):
        verifier().verify(issue(**{claim: value}))


def issue_text(**texts):
    """A token whose times have exactly this JSON text."""
    payload = json.dumps({**CLAIMS, **{name: f"<{name}>" for name in texts}})
    for name, text in texts.items():
        payload = payload.replace(f'"<{name}>"', text)
    return sign(payload.encode(), KEY, typ="JWT")


@pytest.mark.parametrize(
    "text", ["1.8e9", "18E8", "1.8e+9", "1800000000.0", "1800000000.000", "18000000000e-1", "1800000000"]
)
def test_times_are_accepted_in_every_spelling_of_a_json_number(text):
    """RFC 7519 §2 NumericDate. Some languages write every number as a float."""
    claims = verifier().verify(issue_text(iat=text, nbf=text))
    assert (claims.iat, claims.nbf) == (NOW, NOW)
    assert type(claims.iat) is type(claims.nbf) is int


def test_b1_a_fraction_never_makes_a_token_valid_for_longer():
    token = issue_text(exp=f"{NOW + 600}.999", iat=f"{NOW}.001", nbf=f"{NOW}.001")
    claims = verifier(leeway=0).verify(token, now=NOW + 1)
    assert (claims.exp, claims.iat, claims.nbf) == (NOW + 600, NOW + 1, NOW + 1)
    refused(token, TokenExpired, now=NOW + 600.0, by=verifier(leeway=0))
    for claim in ("iat", "nbf"):
        refused(issue_text(**{claim: f"{NOW}.999"}), now=NOW + 0.9995, by=verifier(leeway=0))
    refused(issue_text(exp=f"{NOW}.9", iat=f"{NOW}.1"), by=verifier())


@pytest.mark.parametrize("claim", ["exp", "iat", "auth_time", "nbf"])
@pytest.mark.parametrize("text", ["1.8e9", "1800000000.0", "1800000000.5"])
def test_our_own_access_tokens_have_whole_seconds_only(claim, text):
    payload = json.dumps({**ACCESS_CLAIMS, "aud": CLIENT, claim: "<>"}).replace('"<>"', text).encode()
    own = Verifier(keys=[KEY.public], issuer=ACCESS_CLAIMS["iss"], audience=CLIENT, clock=lambda: NOW)
    with pytest.raises(ClaimRejected, match=f"^{claim}: "):
        own.verify(sign(payload, KEY, typ="at+jwt"))


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"exp": NOW - 900, "iat": NOW - 1800}, "exp"), ({"iat": NOW + 99}, "iat"), ({"nbf": NOW + 99}, "nbf"),
     ({"aud": "x"}, "aud"), ({"aud": [5]}, "aud"), ({"iss": "x"}, "iss"), ({"iss": 5}, "iss"), ({"sub": 5}, "sub"),
     ({"sub": None}, "sub"), ({"jti": ""}, "jti"), ({"nonce": None}, "nonce"), ({"cnf": {}}, "cnf"),
     ({"exp": NOW + 10**6}, "exp"), ({"exp": NOW, "iat": NOW}, "exp"), ({"typ": "x"}, "typ")],
)  # fmt: skip
def test_every_refusal_of_a_claim_names_the_claim(changes, name):
    token = issue(typ="x") if name == "typ" else issue(**changes)
    with pytest.raises((ClaimRejected, TokenExpired)) as caught:
        verifier().verify(token)
    assert caught.value.detail.startswith(f"{name}: ")


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "sub", "iat", "nonce"])
def test_the_refusal_of_a_token_without_a_required_claim_names_it(claim):
    with pytest.raises(ClaimRejected, match=f"^{claim}: "):
        verifier().verify(issue(claim))


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"1e999"])
def test_j18_times_that_are_not_json_numbers_are_refused(text):
    refused(sign(json.dumps(CLAIMS).encode().replace(b"%d" % (NOW + 600), text), KEY, typ="JWT"), MalformedToken)


def test_b1_exp_is_checked_to_the_second():
    token = issue()
    assert verifier().verify(token, now=NOW + 600 + LEEWAY - 0.001).exp == NOW + 600
    refused(token, TokenExpired, now=NOW + 600 + LEEWAY)
    refused(token, TokenExpired, now=NOW + 600, by=verifier(leeway=0))


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_b2_iat_and_nbf_are_checked_to_the_second(claim):
    token = issue(**{claim: NOW + LEEWAY})
    assert verifier().verify(token).exp == NOW + 600
    refused(token, now=NOW - 0.001)


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf])
def test_every_token_is_refused_if_the_clock_returns_nan(now):
    with pytest.raises(InvalidToken):
        verifier().verify(issue(), now=now)


def test_b2_lifetimes_are_limited_even_without_iat():
    brief = Expectation(typ="JWT", required=(), max_lifetime=600)
    assert verifier(brief).verify(issue()).exp == NOW + 600
    refused(issue(exp=NOW + 601), by=verifier(brief))
    assert verifier(brief).verify(issue("iat", exp=NOW + 600 + LEEWAY)).iat is None
    refused(issue("iat", exp=NOW + 601 + LEEWAY), by=verifier(brief))
    refused(issue(exp=NOW, iat=NOW))
    refused(issue(exp=NOW + 5, nbf=NOW + 5))


@pytest.mark.parametrize("claim", ["sub", "jti"])
@pytest.mark.parametrize("value", ["", "a\r\nb", "\x1b[2J", "x" * 300, 5, ["248289761001"], {}])
def test_j39_j40_ids_are_printable_strings(claim, value):
    refused(issue(**{claim: value}))


def test_d10_a_bound_token_is_refused_unless_the_caller_compares_the_key():
    bound = {"cnf": {"jkt": "thumbprint"}}
    refused(issue(**bound))
    stated = verifier(Expectation(typ="JWT", required=("cnf",)))
    assert stated.verify(issue(**bound)).extra["cnf"]["jkt"] == "thumbprint"
    refused(issue(), by=stated)


# -- signatures and form -----------------------------------------------------------------------------------------------


def test_j36_a_bad_signature_is_reported_before_any_claim():
    for token in (issue(exp=NOW - 900, iat=NOW - 1800), issue(aud="x"), issue(typ="at+jwt"), issue("sub")):
        refused(token[:-86] + "A" * 86, BadSignature)


@pytest.mark.parametrize(
    "token",
    [None, 5, b"a.b.c", "", ".", "..", "a.b", "a.b.c", "a.b.c.d", "a.b.c.d.e", "é.é.é", "x" * 20_000, [], {}, object()],
)
def test_text_that_is_not_a_token_is_malformed(token):
    refused(token, MalformedToken)


@pytest.mark.parametrize(
    "payload", [b"null", b"[]", b'"x"', b"", b"\xff", b"[" * 9000, b'{"iss":"a","iss":"b"}', b" {}"]
)
def test_j16_j17_payloads_that_are_not_strict_objects_are_refused(payload):
    refused(sign(payload, KEY, typ="JWT"), MalformedToken)


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "ES384"])
def test_j01_j03_the_key_determines_the_algorithm(alg):
    header = base64url.encode(json.dumps({"alg": alg, "kid": "same", "typ": "JWT"}).encode()).decode()
    refused(f"{header}.{issue().split('.')[1]}.{'A' * 86}", BadSignature)


def with_header(key=KEY, claims=CLAIMS, **extra):
    header = json.dumps({"alg": key.alg, "kid": key.kid, "typ": "JWT", **extra}).encode()
    message = base64url.encode(header) + b"." + base64url.encode(json.dumps(claims).encode())
    return (message + b"." + base64url.encode(key.sign(message))).decode()


@pytest.mark.parametrize(
    "extra",
    [{"jwk": KEY.public.to_jwk()}, {"crit": ["exp"], "exp": 1}, {"crit": []}, {"b64": False}, {"b64": True},
     {"zip": "DEF"}, {"enc": "A128GCM"}],
)  # fmt: skip
def test_j08_j24_a_header_cannot_bring_keys_or_extensions(extra):
    refused(with_header(**extra), MalformedToken)


UNUSED = {
    "x5t": {"x5t": "i7LkBmzGJ6f2hVSl8wG2SNrXvB8"},
    "x5t#S256": {"x5t#S256": "A" * 43},
    "x5c": {"x5c": ["MIIB" * 1000]},
    "x5u": {"x5u": "https://evil.example/certificate"},
    "jku": {"jku": "https://evil.example/keys"},
    "cty": {"cty": "JWT"},
    "one of the issuer's own": {"com.example.tenant": {"id": 7}},
}


@pytest.mark.parametrize("name", UNUSED)
def test_header_members_that_are_of_no_use_to_us_are_ignored(name):
    token = with_header(**UNUSED[name])
    assert verifier().verify(token).sub == "248289761001"


def test_j09_an_ignored_header_member_is_never_followed_and_never_a_source_of_keys():
    forger = SigningKey.generate("ES256", kid="forger")
    with Issuer() as issuer, Issuer() as canary:
        remote = verifier(issuers={issuer.url: RemoteKeys(issuer.url, development=True)})
        for extra in ({"jku": canary.url}, {"x5u": canary.url}, {"x5c": ["MIIB"]}):
            refused(with_header(key=forger, claims={**CLAIMS, "iss": issuer.url}, **extra), BadSignature, by=remote)
        assert canary.asked == {}


def test_our_own_access_tokens_stay_strict_even_after_a_foreign_token_with_the_same_header():
    """Both verifiers share one set of keys, so a header that one of them has read must not be known to the other."""
    keys = KeySet([KEY.public])
    claims = {**ACCESS_CLAIMS, "iss": ISSUER, "aud": CLIENT}
    token = with_header(claims=claims, typ="at+jwt", jku="https://elsewhere.example")
    assert verify(token, keys, typ="at+jwt", foreign=True).header.alg == "ES256"
    with pytest.raises(MalformedToken, match="jku"):
        verify(token, keys, typ="at+jwt")
    own = Verifier(keys=keys, issuer=ISSUER, audience=CLIENT, clock=lambda: NOW)
    with pytest.raises(MalformedToken, match="jku"):
        own.verify(token)
    assert own.verify(with_header(claims=claims, typ="at+jwt")).iss == ISSUER


# -- construction ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [{"issuers": {}}, {"issuers": {"": [KEY.public]}}, {"audience": ""}, {"audience": None}, {"leeway": -1},
     {"leeway": 121}, {"leeway": math.nan}, {"leeway": True}, {"issuers": {ISSUER: [KEY.public, KEY.public]}},
     {"issuers": {ISSUER: [KEY.public, HmacKey(bytes(range(32)), "HS256")]}},
     {"issuers": {ISSUER: RemoteKeys(ISSUER + "/other")}}],
)  # fmt: skip
def test_b6_unsafe_parameters_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        verifier(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"typ": ""}, {"typ": 5}, {"required": "sub"}, {"required": ["sub"]}, {"required": ("",)}, {"required": (5,)},
     {"max_lifetime": 0}, {"max_lifetime": True}, {"max_lifetime": math.inf}],
)  # fmt: skip
def test_mistaken_expectations_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        Expectation(**{"typ": "JWT", "required": (), **wrong})


# -- remote keys -------------------------------------------------------------------------------------------------------


async def test_issuers_with_local_and_remote_keys_work_together():
    with Issuer() as issuer:
        issuer.publish(OTHER_KEY)
        both = verifier(issuers={ISSUER: [KEY.public], issuer.url: RemoteKeys(issuer.url, development=True)})
        assert both.verify(issue()).iss == ISSUER
        assert issuer.asked == {}
        elsewhere = issue(iss=issuer.url, key=OTHER_KEY)
        assert (await both.verify_async(elsewhere)).iss == issuer.url
        assert both.verify(elsewhere).iss == issuer.url
        refused(issue(iss=issuer.url, key=KEY), BadSignature, by=both)
        assert issuer.asked == {METADATA: 1, JWKS: 1}


def test_j09_j34_a_token_of_an_unknown_issuer_causes_no_fetch():
    with Issuer() as issuer, Issuer() as canary:
        remote = verifier(issuers={issuer.url: RemoteKeys(issuer.url, development=True)})
        for iss in (canary.url, issuer.url + "/", issuer.url + "@" + canary.url):
            refused(issue(iss=iss), by=remote)
        assert (issuer.asked, canary.asked) == ({}, {})
