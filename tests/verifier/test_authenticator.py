"""`TokenAuthenticator`: turns raw headers into a principal, as every framework integration uses it."""

import pytest

from ostiary.errors import (
    BadSignature,
    ClaimRejected,
    ConfigurationError,
    CrossSiteRequest,
    MalformedCredential,
    MultipleCredentials,
    RevocationsUnknown,
    TokenExpired,
)
from ostiary.verifier import ACCESS_COOKIE, Authenticator, Confirmation, TokenAuthenticator
from tests.verifier.material import NOW, issue, revocations, verifier

OWN, TRUSTED = "https://orders.example.com", "https://app.example.com"


def authenticator(**changes) -> Authenticator:
    return TokenAuthenticator(verifier(**changes), own_origins=[OWN], trusted_origins=[TRUSTED])


def bearer(token):
    return [(b"host", b"x"), (b"authorization", b"Bearer " + token.encode())]


def cookie(token, **more):
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
    return [(b"cookie", f"a=b; {ACCESS_COOKIE}={token}".encode()), *named]


def test_a_token_in_the_header_identifies_the_caller():
    me = authenticator().authenticate(bearer(issue()), method="POST")
    assert me.account_id == "acc_1"


def test_without_a_credential_there_is_no_principal():
    assert authenticator().authenticate([], method="POST") is None
    assert authenticator().authenticate([(b"authorization", b"Basic x")], method="GET") is None


def test_headers_may_be_an_iterator():
    assert authenticator().authenticate(iter(bearer(issue())), method="POST").account_id == "acc_1"
    assert authenticator().authenticate(iter(cookie(issue(), origin=OWN)), method="POST").account_id == "acc_1"


@pytest.mark.parametrize(
    ("token", "error"),
    [
        (issue()[:-4] + "AAAA", BadSignature),
        (issue(exp=NOW - 100, iat=NOW - 200), TokenExpired),
        (issue(aud="https://other"), ClaimRejected),
        (issue(sub="somebody"), ClaimRejected),
        (issue(cnf=Confirmation("a")), ClaimRejected),
    ],
)
def test_a_bad_token_is_refused_in_the_header_and_in_the_cookie(token, error):
    with pytest.raises(error):
        authenticator().authenticate(bearer(token), method="GET")
    with pytest.raises(error):
        authenticator().authenticate(cookie(token), method="GET")


def test_i12_two_credentials_are_refused_before_either_is_verified():
    with pytest.raises(MultipleCredentials):
        authenticator().authenticate([*bearer(issue()), *cookie(issue())], method="GET")
    with pytest.raises(MalformedCredential):
        authenticator().authenticate([(b"authorization", b"Bearer a b")], method="GET")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_cookie_is_enough_for_safe_methods(method):
    assert authenticator().authenticate(cookie(issue()), method=method).account_id == "acc_1"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", ""])
def test_s12_a_cookie_with_any_other_method_must_come_from_this_site(method):
    checking = authenticator()
    for hostile in (
        cookie(issue()),
        cookie(issue(), origin="https://evil"),
        cookie(issue(), sec_fetch_site="cross-site"),
    ):
        with pytest.raises(CrossSiteRequest):
            checking.authenticate(hostile, method=method)
    for good in (
        {"sec_fetch_site": "same-origin"},
        {"origin": OWN},
        {"origin": TRUSTED, "sec_fetch_site": "same-site"},
    ):
        assert checking.authenticate(cookie(issue(), **good), method=method).account_id == "acc_1"


def test_a_token_in_the_header_needs_no_same_origin_check():
    """Another site cannot make a browser send it."""
    headers = [*bearer(issue()), (b"origin", b"https://evil"), (b"sec-fetch-site", b"cross-site")]
    assert authenticator().authenticate(headers, method="DELETE").account_id == "acc_1"


def test_callers_are_refused_while_revocations_are_unknown():
    with pytest.raises(RevocationsUnknown):
        authenticator(revocations=revocations(fresh=False)).authenticate(bearer(issue()), method="GET")


def test_origins_that_browsers_never_send_fail_at_start_up():
    for wrong in ("null", "*", "https://a/"):
        with pytest.raises(ConfigurationError):
            TokenAuthenticator(verifier(), trusted_origins=[wrong])


def test_the_role_map_is_available():
    role_map = {"editor": {"orders:write"}}
    assert TokenAuthenticator(verifier(), role_map=role_map).role_map is role_map
    assert TokenAuthenticator(verifier()).role_map is None
