"""A client cannot choose its source address. Only proxies that the operator lists can set it."""

import ipaddress

import pytest

from ostiary.web.source import is_from_proxy, source_of

PROXIES = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "2001:db8:1::/48", "127.0.0.1")))


def source(peer, *lines, proxies=PROXIES, name=b"x-forwarded-for"):
    client = None if peer is None else (peer, 1234)
    headers = [(name, line.encode("latin-1")) for line in lines]
    return source_of({"client": client, "headers": headers}, proxies=proxies).address


def test_without_trusted_proxies_only_the_socket_counts():
    assert source("203.0.113.9", "198.51.100.1", proxies=()) == "203.0.113.9"
    assert source("10.0.0.1", "198.51.100.1", proxies=()) == "10.0.0.1"


def test_an_untrusted_peer_is_not_believed():
    assert source("203.0.113.9", "198.51.100.1") == "203.0.113.9"


def test_a_trusted_proxy_is_believed():
    assert source("10.0.0.1", "198.51.100.1") == "198.51.100.1"


def test_a_trusted_proxy_without_the_header_is_the_source():
    assert source("10.0.0.1") == "10.0.0.1"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        (["1.1.1.1, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        (["1.1.1.1", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
        (["127.0.0.1, 198.51.100.1"], "198.51.100.1"),
        (["10.9.9.9, 198.51.100.1,10.0.0.2 , 10.0.0.3"], "198.51.100.1"),
        (["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
    ],
)
def test_addresses_are_read_from_the_right_across_all_header_lines(lines, expected):
    assert source("10.0.0.1", *lines) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("198.51.100.1:8080", "198.51.100.1"),
        (" 198.51.100.1\t", "198.51.100.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("[::ffff:198.51.100.1]:1", "198.51.100.1"),
    ],
)
def test_ports_brackets_and_mapped_addresses_are_normalised(said, expected):
    assert source("10.0.0.1", said) == expected


@pytest.mark.parametrize(
    "said",
    [
        "unknown",
        "_hidden",
        "",
        "198.51.100.1; DROP TABLE",
        "fe80::1%eth0",
        "fe80::1%" + "x" * 100,
        "198.51.100.1.5",
        "0300.0.0.1",
        "3405803777",
        "[2001:db8::1",
        "2001:db8::1]:443",
        "198.51.100.1:8080:1",
        "\xff\xfe",
        "localhost",
        "for=198.51.100.1",
    ],
)
def test_if_a_proxy_sends_no_valid_address_its_own_counts(said):
    assert source("10.0.0.1", said) == "10.0.0.1"
    assert source("10.0.0.1", f"1.1.1.1, {said}") == "10.0.0.1"


@pytest.mark.parametrize(
    "name",
    [b"x_forwarded_for", b"forwarded", b"x-real-ip", b"cf-connecting-ip", b"true-client-ip", b"x-client-ip"],
)
def test_other_headers_are_ignored_even_from_a_trusted_proxy(name):
    assert source("10.0.0.1", "198.51.100.1", name=name) == "10.0.0.1"


def test_a_proxy_on_a_dual_stack_socket_is_recognised():
    assert source("::ffff:10.0.0.1", "198.51.100.1") == "198.51.100.1"


def test_a_unix_socket_counts_as_loopback_and_is_trusted_only_if_that_is_listed():
    assert source(None, "198.51.100.1") == "198.51.100.1"
    assert source(None, "198.51.100.1", proxies=PROXIES[:2]) == "127.0.0.1"
    assert source("", proxies=()) == "127.0.0.1"


def test_a_very_long_list_is_cut():
    assert source("10.0.0.1", "198.51.100.1," + "10.0.0.2," * 20_000 + "10.0.0.3") == "10.0.0.2"


def test_a_peer_that_is_not_an_address_is_kept_and_never_trusted():
    assert source("testclient", "198.51.100.1") == "testclient"
    assert not is_from_proxy({"client": ("testclient", 1), "headers": []}, proxies=PROXIES)
