"""Cookies that scripts cannot read and other hosts of the same site cannot set."""

import pytest

from ostiary.core.plug import CookieRole, SetCookie
from ostiary.verifier import HOST_COOKIES
from ostiary.web.cookies import set_cookie


def test_the_access_cookie_is_sent_with_links_from_other_sites():
    assert set_cookie(SetCookie(CookieRole.ACCESS, "a.b.c", 900), HOST_COOKIES) == (
        "__Host-ostiary_access=a.b.c; Max-Age=900; Path=/; Secure; HttpOnly; SameSite=Lax"
    )


def test_the_refresh_cookie_is_never_sent_from_another_site():
    assert set_cookie(SetCookie(CookieRole.REFRESH, "ort_x", 86400), HOST_COOKIES) == (
        "__Host-ostiary_refresh=ort_x; Max-Age=86400; Path=/; Secure; HttpOnly; SameSite=Strict"
    )


def test_a_cookie_is_cleared_with_the_attributes_it_was_set_with():
    assert set_cookie(SetCookie(CookieRole.REFRESH, "", 0), HOST_COOKIES) == (
        "__Host-ostiary_refresh=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict"
    )


@pytest.mark.parametrize("value", ["a; Domain=evil.example", "a\r\nSet-Cookie: x=1", "a b", 'a"b', "a,b", "a\\b", "é"])
def test_a_value_that_could_add_attributes_is_refused(value):
    with pytest.raises(ValueError, match="characters"):
        set_cookie(SetCookie(CookieRole.ACCESS, value, 900), HOST_COOKIES)


def test_a_cookie_that_browsers_would_drop_is_refused():
    name_size = len("__Host-ostiary_access")
    assert set_cookie(SetCookie(CookieRole.ACCESS, "x" * (4095 - name_size), 900), HOST_COOKIES)
    with pytest.raises(ValueError, match="longer"):
        set_cookie(SetCookie(CookieRole.ACCESS, "x" * (4096 - name_size), 900), HOST_COOKIES)
