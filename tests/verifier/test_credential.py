"""Reading credentials: exactly one place and one spelling is accepted."""

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import InvalidRequest, MalformedCredential, MultipleCredentials
from ostiary.verifier import ACCESS_COOKIE, REFRESH_COOKIE, read_access_token, read_bearer, read_cookie
from ostiary.verifier.credential import Credential

COOKIE = ACCESS_COOKIE.encode()


def authorization(*values):
    return [(b"authorization", value) for value in values]


def cookies(*values):
    return [(b"cookie", value) for value in values]


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER", b"bEaReR"])
@pytest.mark.parametrize("space", [b" ", b"   "])
def test_l23_the_scheme_is_case_insensitive(scheme, space):
    assert read_bearer(authorization(scheme + space + b"a.b-c_d~e+f/g==")) == "a.b-c_d~e+f/g=="


@pytest.mark.parametrize(
    "value", [b"", b"Basic dXNlcjpwYXNz", b"DPoP a.b.c", b"Bearers abc", b"a.b.c", b"Bearer\tabc", b"B\xc3\xa9arer a"]
)
def test_other_schemes_are_ignored(value):
    assert read_bearer(authorization(value)) is None
    assert read_access_token(authorization(value)) is None


@pytest.mark.parametrize(
    "value",
    [
        *(
            b"Bearer",
            b"Bearer ",
            b"Bearer a b",
            b"Bearer a,b",
            b"Bearer a.b.c, Bearer d.e.f",
            b"Bearer a;b",
            b'Bearer "a"',
        ),
        *(
            b"Bearer a\0",
            b"Bearer a\r\nX: y",
            b"Bearer \xff",
            b"Bearer =a",
            b"Bearer a=b",
            b"Bearer a\tb",
            b"Bearer token=a",
        ),
    ],
)
def test_l23_a_bearer_header_without_a_single_token_is_a_malformed_request(value):
    with pytest.raises(MalformedCredential) as caught:
        read_access_token(authorization(value))
    assert caught.value.status == 400


@pytest.mark.parametrize("second", [b"Bearer a", b"Bearer b", b"Basic x", b""])
def test_s14_two_authorization_headers_are_refused(second):
    for values in ((b"Bearer a", second), (second, b"Bearer a")):
        with pytest.raises(MultipleCredentials):
            read_access_token(authorization(*values))


def test_s14_header_and_cookie_together_are_refused():
    with pytest.raises(MultipleCredentials):
        read_access_token(authorization(b"Bearer a") + cookies(COOKIE + b"=a"))
    other_cookie = cookies(b"theme=dark", b"__Host-ostiary_refresh=r")
    assert read_access_token(authorization(b"Bearer a") + other_cookie) == Credential("a", in_cookie=False)
    other_scheme = authorization(b"Basic x") + cookies(COOKIE + b"=a")
    assert read_access_token(other_scheme) == Credential("a", in_cookie=True)


def test_a_request_without_a_credential_has_none():
    assert read_access_token([]) is None
    assert read_access_token([(b"host", b"x"), (b"x-authorization", b"Bearer a"), (b"cookie2", COOKIE + b"=a")]) is None


def test_s13_a_token_in_other_headers_or_the_referer_is_not_read():
    """The URL is not a parameter at all."""
    elsewhere = [
        (b"referer", b"https://x/?access_token=a"),
        (b"access_token", b"a"),
        (b"x-forwarded-authorization", b"Bearer a"),
    ]
    assert read_access_token(elsewhere) is None


@pytest.mark.parametrize(
    "header",
    [
        *(
            COOKIE + b"=a",
            b"x=1; " + COOKIE + b"=a",
            COOKIE + b"=a; x=1",
            b"x=1;" + COOKIE + b"=a;y=2",
            COOKIE + b"=a;",
            b";" + COOKIE + b"=a",
        ),
        *(b"x; " + COOKIE + b"=a", b"x==; " + COOKIE + b"=a ; y"),
    ],
)
def test_the_cookie_is_found_among_others(header):
    assert read_access_token(cookies(header)) == Credential("a", in_cookie=True)


def test_cookies_in_several_headers_are_read_as_one_list():
    """RFC 9113 §8.2.3: HTTP/2 may split them."""
    assert read_cookie(cookies(b"x=1", COOKIE + b"=a", b"y=2"), ACCESS_COOKIE) == "a"


@pytest.mark.parametrize(
    "headers",
    [
        cookies(COOKIE + b"=a; " + COOKIE + b"=b"),
        cookies(COOKIE + b"=a; " + COOKIE + b"=a"),
        cookies(COOKIE + b"=a", COOKIE + b"=b"),
        cookies(COOKIE + b"=; " + COOKIE + b"=b"),
        cookies(COOKIE + b"=a; x=1;" + COOKIE + b"=b"),
    ],
)
def test_s11_two_cookies_of_one_name_are_refused(headers):
    """Cookie tossing: a sibling host or another path has set one of them. We cannot know which one is ours."""
    with pytest.raises(MultipleCredentials):
        read_access_token(headers)


@pytest.mark.parametrize(
    "pair",
    [
        *(
            COOKIE.lower() + b"=a",
            COOKIE.upper() + b"=a",
            b"\t" + COOKIE + b"=a",
            b"\xa0" + COOKIE + b"=a",
            b"\x0b" + COOKIE + b"=a",
        ),
        *(
            b"=" + COOKIE + b"=a",
            COOKIE + b" =a",
            COOKIE,
            b"x" + COOKIE + b"=a",
            COOKIE + b"x=a",
            b'"' + COOKIE + b'"=a',
        ),
        *(
            b"x=" + COOKIE + b"=a",
            b"%5F_Host-ostiary_access=a",
            b"\xc2\xa0" + COOKIE + b"=a",
            b"ostiary_access=a",
            b"__Secure-ostiary_access=a",
        ),
    ],
)
def test_s11_cookie_names_that_only_look_like_ours_are_ignored(pair):
    assert read_access_token(cookies(pair)) is None
    assert read_access_token(cookies(pair + b"; " + COOKIE + b"=good")) == Credential("good", in_cookie=True)


def test_a_header_of_thousands_of_cookies_is_searched_without_splitting_it():
    """65,000 empty cookies next to ours cost 10 ms on the event loop when each became an object."""
    flood = COOKIE + b"=a" + b";" * 65_000
    tracemalloc.start()
    assert read_cookie(cookies(flood), ACCESS_COOKIE) == "a"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(flood)


def test_cookie_values_are_not_decoded():
    """No unquoting and no unescaping: a token needs neither, and must have only one spelling."""
    assert read_cookie(cookies(COOKIE + b'="a"'), ACCESS_COOKIE) == '"a"'
    assert read_cookie(cookies(COOKIE + b"=a=b%20c"), ACCESS_COOKIE) == "a=b%20c"
    assert read_cookie(cookies(COOKIE + b"=\xff"), ACCESS_COOKIE) == "\xff"
    assert read_cookie(cookies(COOKIE + b"="), ACCESS_COOKIE) == ""


def test_access_and_refresh_cookies_are_not_confused():
    both = cookies(COOKIE + b"=a; " + REFRESH_COOKIE.encode() + b"=r")
    assert (read_cookie(both, ACCESS_COOKIE), read_cookie(both, REFRESH_COOKIE)) == ("a", "r")
    assert all(name.startswith("__Host-") for name in (ACCESS_COOKIE, REFRESH_COOKIE))


HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"authorization", b"cookie", b"host"]),
        st.binary(max_size=30)
        | st.lists(st.sampled_from([b"Bearer", b" ", b"a", COOKIE, b"=", b";", b","]), max_size=8).map(b"".join),
    ),
    max_size=4,
)


@given(HEADERS)
def test_any_headers_are_read_or_refused_as_a_bad_request(headers):
    try:
        credential = read_access_token(headers)
    except InvalidRequest:
        return
    assert credential is None or isinstance(credential.token, str)


@pytest.mark.parametrize("repeated", [b";", b"a=b; ", b" ", COOKIE, COOKIE + b"x=;"])
def test_p07_cookies_are_read_in_linear_time(repeated):
    """Eight times the bytes take about eight times the work. Restarting at each byte would take 64 times."""
    times = 100_000 // len(repeated)
    assert seconds_to_read(repeated * 8 * times) < 24 * seconds_to_read(repeated * times) + 0.01


def seconds_to_read(cookie):
    """CPU time of this thread, so that other work on the machine does not count."""
    seconds = []
    for _ in range(5):
        began = time.thread_time()
        read_access_token(cookies(cookie + COOKIE))
        seconds.append(time.thread_time() - began)
    return min(seconds)
