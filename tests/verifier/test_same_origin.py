"""Protection against cross-site requests: all combinations of headers that browsers can send."""

import pytest

from ostiary.errors import ConfigurationError, CrossSiteRequest
from ostiary.verifier import SAFE_METHODS, check_same_origin, checked_origins

OWN, TRUSTED, OTHER = "https://auth.example.com", "https://app.example.com", "https://evil.example"


def passes(*headers):
    try:
        check_same_origin(
            [(name.encode(), value.encode()) for name, value in headers],
            own_origins=checked_origins([OWN]),
            trusted_origins=checked_origins([TRUSTED]),
        )
    except CrossSiteRequest:
        return False
    return True


ABSENT = None
TABLE = {
    # Sec-Fetch-Site: Origin → whether it passes
    ABSENT: {ABSENT: False, OWN: True, TRUSTED: True, OTHER: False, "null": False},
    "same-origin": {ABSENT: True, OWN: True, TRUSTED: True, OTHER: False, "null": False},
    "same-site": {ABSENT: False, OWN: False, TRUSTED: True, OTHER: False, "null": False},
    "cross-site": {ABSENT: False, OWN: False, TRUSTED: False, OTHER: False, "null": False},
    "none": {ABSENT: False, OWN: False, TRUSTED: True, OTHER: False, "null": False},
    "": {ABSENT: False, OWN: False, TRUSTED: True, OTHER: False, "null": False},
    "Same-Origin": {ABSENT: False, OWN: False, TRUSTED: True, OTHER: False, "null": False},
}


@pytest.mark.parametrize(("site", "origin"), [(site, origin) for site, row in TABLE.items() for origin in row])
def test_j1_every_combination_of_sec_fetch_site_and_origin(site, origin):
    headers = [(name, value) for name, value in (("sec-fetch-site", site), ("origin", origin)) if value is not ABSENT]
    assert passes(*headers) is TABLE[site][origin]
    assert passes(*reversed(headers)) is TABLE[site][origin]


@pytest.mark.parametrize(
    "origin",
    [
        *(
            OWN + "/",
            OWN + ":443",
            OWN.upper(),
            OWN + ".evil.example",
            "http://auth.example.com",
            "auth.example.com",
            OWN[:-1],
        ),
        *(
            "",
            " " + OWN,
            OWN + " ",
            OWN + "\0",
            f"{OWN}, {OTHER}",
            f"{OTHER} {OWN}",
            "https://auth.example.com@evil.example",
        ),
    ],
)
def test_an_origin_must_match_exactly(origin):
    assert not passes(("origin", origin))
    assert not passes(("sec-fetch-site", "same-origin"), ("origin", origin))


@pytest.mark.parametrize("twice", ["origin", "sec-fetch-site"])
def test_a_header_that_occurs_twice_is_refused(twice):
    good = [("sec-fetch-site", "same-origin"), ("origin", OWN)]
    assert passes(*good)
    assert not passes(*good, *(header for header in good if header[0] == twice))
    assert not passes(*good, (twice, "null"))


def test_other_headers_are_ignored():
    assert not passes(
        ("referer", OWN + "/x"), ("host", "auth.example.com"), ("x-forwarded-host", OWN), ("x-origin", OWN)
    )


def test_safe_methods_are_those_of_the_rfc():
    assert {"GET", "HEAD", "OPTIONS"} == SAFE_METHODS


@pytest.mark.parametrize(
    "origin",
    [
        *(
            "null",
            "*",
            "",
            "https://",
            "https://*.example.com",
            "https://a/",
            "https://a/b",
            "https://a?b",
            "https://a#b",
        ),
        *(
            "https://A.example",
            "https://u@a",
            "ftp://a",
            "a.example",
            "https://a:x",
            "https://a:123456",
            "https://a\n",
            " https://a",
        ),
    ],
)
def test_j5_only_origins_as_browsers_send_them_can_be_trusted(origin):
    with pytest.raises(ConfigurationError):
        checked_origins([origin])


def test_a_single_string_is_not_a_collection_of_origins():
    """`in` on a string would also find its parts."""
    with pytest.raises(ConfigurationError):
        checked_origins("https://a.example")


def test_origins_may_have_ports_and_addresses():
    origins = {"https://a.example", "http://127.0.0.1:8000", "http://[::1]:8000", "http://localhost:3000"}
    assert checked_origins(origins) == origins
