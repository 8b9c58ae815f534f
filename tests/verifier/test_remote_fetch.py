"""Fetching an issuer's keys: attacks by hostile servers, name servers and documents fail, and fail in time."""

import contextlib
import gzip
import json
import socket
import threading
import time

import pytest

from ostiary.errors import ConfigurationError
from ostiary.jose import KeySet, SigningKey
from ostiary.verifier import RemoteKeys
from ostiary.verifier.remote import fetch, source
from ostiary.verifier.remote.address import AddressRule
from ostiary.verifier.remote.fetch import FetchFailed
from ostiary.verifier.remote.source import IssuerSource
from ostiary.verifier.remote.url import openid_configuration_url, well_known_url
from tests.verifier.issuers import JWKS, METADATA, OPENID, Authority, Issuer, json_answer
from tests.verifier.material import KEY

NAME = "auth.example.test"


@pytest.fixture
def issuer():
    with Issuer() as server:
        yield server


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def of(issuer, **parameters):
    return IssuerSource(issuer.url, **{"development": True, **parameters})


def loaded(issuer, **parameters):
    return of(issuer, **parameters).load()


def refused(issuer, match, **parameters):
    with pytest.raises(FetchFailed, match=match):
        loaded(issuer, **parameters)


def test_the_metadata_gives_the_url_of_the_keys(issuer):
    found = loaded(issuer)
    assert found.keys.to_jwks() == KeySet([KEY.public]).to_jwks()
    assert issuer.asked == {METADATA: 1, JWKS: 1}


def test_with_a_jwks_uri_nothing_else_is_fetched(issuer):
    assert KEY.kid in loaded(issuer, jwks_uri=issuer.origin + JWKS).keys
    assert issuer.asked == {JWKS: 1}


def test_the_request_names_the_media_type_and_reveals_nothing_about_us(issuer):
    loaded(issuer)
    for _, headers in issuer.heard:
        assert headers["Accept"] == "application/json"
        assert set(headers) == {"Host", "Accept", "Accept-Encoding", "User-Agent", "Connection"}


@pytest.mark.parametrize("media_type", ["application/json", "application/x+json", "application/statuslist", ""])
def test_an_answer_with_another_media_type_is_refused(issuer, media_type):
    source = of(issuer)
    issuer.answers["/list"] = (200, {"content-type": media_type}, b"a.b.c")
    with pytest.raises(FetchFailed, match="content type"):
        source.get(source.own_url(issuer.url + "/list"), until=time.monotonic() + 2, media_type="application/jwt")


# -- TLS ---------------------------------------------------------------------------------------------------------------


def test_the_certificate_must_be_trusted_and_valid_for_the_host_name(authority, tmp_path):
    with Issuer(tls=authority.server_context("localhost"), name="localhost") as issuer:
        assert KEY.kid in loaded(issuer, ca_file=authority.ca_file, development=False).keys
        refused(issuer, "SSLCertVerificationError", development=False)
        refused(issuer, "SSLCertVerificationError", ca_file=Authority(tmp_path).ca_file)
    with Issuer(tls=authority.server_context("elsewhere.test"), name="localhost") as issuer:
        refused(issuer, "SSLCertVerificationError", ca_file=authority.ca_file)
        assert not issuer.asked


def test_a_ca_file_without_certificates_is_refused_immediately(tmp_path):
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(ConfigurationError, match="certificates"):
            RemoteKeys("https://auth.example.com", ca_file=tmp_path / name)


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", [METADATA, JWKS])
def test_c4_a_redirect_is_not_followed(issuer, status, path):
    """CVE-2026-102267: an attacker who controls a redirect would control the keys."""
    with Issuer() as canary:
        issuer.answers[path] = (status, {"location": canary.origin + JWKS}, b"")
        refused(issuer, "redirect")
        assert not canary.asked


@pytest.mark.parametrize("status", [201, 204, 206, 400, 403, 404, 500])
def test_only_status_200_is_accepted(issuer, status):
    _, headers, body = issuer.answers[JWKS]
    issuer.answers[JWKS] = (status, headers, b"" if status == 204 else body)
    refused(issuer, f"status {status}")


@pytest.mark.parametrize("length", [{"content-length": "50000000"}, {}, {"transfer-encoding": "chunked"}])
def test_j33_no_more_than_the_limit_is_read_of_a_50_mb_answer(issuer, length):
    def flood(write):
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n" if "transfer-encoding" in length else b" " * 65536
        for _ in range(50_000_000 // 65536):
            write(chunk)

    issuer.answers[JWKS] = (200, {"content-type": "application/json", **length}, flood)
    refused(issuer, "too large")
    assert issuer.wrote < 20_000_000  # the capacity of the buffers of both sockets


def test_j33_endless_chunk_framing_is_refused(issuer):
    """The document is small, but the data around its chunks is endless."""

    def flood(write):
        for _ in range(1000):
            write(b"1;" + b"x" * 60_000 + b"\r\n \r\n")

    issuer.answers[JWKS] = (200, {"content-type": "application/json", "transfer-encoding": "chunked"}, flood)
    refused(issuer, "too large")


def test_too_many_headers_are_refused(issuer):
    issuer.answers[JWKS] = (200, {f"x-{n}": "y" * 1000 for n in range(1000)}, b"{}")
    refused(issuer, "HTTPException")


def test_an_incomplete_answer_is_refused(issuer):
    _, headers, body = issuer.answers[JWKS]
    issuer.answers[JWKS] = (200, {**headers, "content-length": str(len(body) + 1)}, body)
    refused(issuer, "incomplete")


def _drip(write):
    for _ in range(100):
        write(b" ")
        time.sleep(0.08)


@pytest.mark.parametrize("path", [METADATA, JWKS])
@pytest.mark.parametrize("body", [lambda write: time.sleep(8), _drip])
def test_the_deadline_ends_a_slow_body(issuer, monkeypatch, path, body):
    """A slow trickle of bytes resets a timeout for each read, but not the deadline for the whole fetch."""
    monkeypatch.setattr(source, "DEADLINE", 0.5)
    issuer.answers[path] = (200, {"content-type": "application/json"}, body)
    start = time.monotonic()
    refused(issuer, "deadline|TimeoutError")
    assert time.monotonic() - start < 4


def test_a_silent_server_is_abandoned(monkeypatch):
    monkeypatch.setattr(fetch, "STEP_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with pytest.raises(FetchFailed, match="TimeoutError"):
            IssuerSource(f"http://127.0.0.1:{silent.getsockname()[1]}", development=True).load()
    assert time.monotonic() - start < 4


def test_the_deadline_ends_slow_headers(monkeypatch):
    monkeypatch.setattr(source, "DEADLINE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_drip_headers, args=(server,))
        thread.start()
        start = time.monotonic()
        with pytest.raises(FetchFailed, match=r"deadline|TimeoutError"):
            IssuerSource(f"http://127.0.0.1:{server.getsockname()[1]}", development=True).load()
        assert time.monotonic() - start < 4
        thread.join()


def _drip_headers(server):
    connection, _ = server.accept()
    with connection, contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for _ in range(160):
            connection.sendall(b"x")
            time.sleep(0.05)


def test_a_gzip_bomb_is_not_decompressed(issuer):
    bomb = gzip.compress(b" " * 50_000_000)
    issuer.answers[JWKS] = (200, {"content-type": "application/json", "content-encoding": "gzip"}, bomb)
    refused(issuer, "compressed")
    issuer.answers[JWKS] = (200, {"content-type": "application/json"}, bomb)
    refused(issuer, "not strict JSON")


@pytest.mark.parametrize(
    ("media_type", "why"),
    [("text/html", "content type"), ("application/json", "not strict JSON"), ("", "content type")],
)
def test_j33_html_is_not_accepted_as_a_key_set(issuer, media_type, why):
    issuer.answers[JWKS] = (200, {"content-type": media_type}, b"<!doctype html><title>Sign in</title>")
    refused(issuer, why)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"keys":[],"keys":[]}', b"\xff\xfe{\x00}\x00", b"[" * 100_000])
@pytest.mark.parametrize("path", [METADATA, JWKS])
def test_a_document_that_is_not_a_strict_json_object_is_refused(issuer, path, body):
    issuer.answers[path] = (200, {"content-type": "application/json"}, body)
    refused(issuer, "JSON")


def test_surrounding_white_space_and_the_jwk_set_media_type_are_accepted(issuer):
    _, _, body = issuer.answers[JWKS]
    pretty = json.dumps(json.loads(body), indent=2).encode() + b"\n"
    issuer.answers[JWKS] = (200, {"content-type": "application/jwk-set+json; charset=utf-8"}, pretty)
    assert KEY.kid in loaded(issuer).keys


# -- key sets ----------------------------------------------------------------------------------------------------------

OTHER, THIRD = SigningKey.generate("ES256"), SigningKey.generate("ES256")
OCT = {"kty": "oct", "k": "0123456789abcdef0123456789ABCDEF0123456789A", "alg": "HS256", "kid": "s"}


@pytest.mark.parametrize(
    ("members", "why"),
    [
        (
            [KEY.public.to_jwk(), *({**jwk, "kid": "one"} for jwk in (OTHER.public.to_jwk(), THIRD.public.to_jwk()))],
            None,
        ),
        ([OCT, KEY.public.to_jwk()], None),
        ([OCT], "publishes secrets"),
        ([KEY.to_jwk()], "no usable key"),
        ([], "no usable key"),
        ([{**KEY.public.to_jwk(), "kid": f"{n}"} for n in range(101)], "at most 100"),
        ([{"kid": f"{n}"} for n in range(10_000)], "at most 100|too large"),
        ([KEY.public.to_jwk(), {**KEY.public.to_jwk(), "kid": "x", "alg": "ES384"}], None),
    ],
)
def test_j33_oversized_and_secret_sets_are_refused_and_doubtful_members_are_not_used(issuer, members, why):
    issuer.answers[JWKS] = json_answer({"keys": members})
    if why is not None:
        refused(issuer, why)
    else:
        assert [key.kid for key in loaded(issuer).keys] == [KEY.kid]


@pytest.mark.parametrize(
    "bad",
    [{"kty": "EC"}, "text", None, 5, {**KEY.public.to_jwk(), "kid": "b", "x": "AA"}, {**OTHER.to_jwk(), "kid": "c"}],
)
def test_j33_one_malformed_or_private_member_does_not_break_the_set(issuer, bad):
    issuer.answers[JWKS] = json_answer({"keys": [bad, KEY.public.to_jwk()]})
    assert [key.kid for key in loaded(issuer).keys] == [KEY.kid]


# -- metadata ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [lambda url: url + "/", lambda url: url.upper(), lambda url: url[:-1], lambda url: [url], lambda url: None,
     lambda url: "https://evil.example"],
)  # fmt: skip
def test_o15_metadata_about_another_issuer_is_refused(issuer, change):
    issuer.says(issuer=change(issuer.url))
    refused(issuer, "another issuer")
    assert JWKS not in issuer.asked


def test_o15_a_jwks_uri_at_another_origin_is_refused_unless_it_is_configured(issuer):
    with Issuer() as other:
        issuer.says(jwks_uri=other.origin + JWKS)
        refused(issuer, "another origin")
        assert not other.asked
        assert KEY.kid in loaded(issuer, jwks_uri=other.origin + JWKS).keys


@pytest.mark.parametrize(
    "uri",
    ["file:///etc/passwd", "data:application/json,{}", "ftp://127.0.0.1/k", "http://169.254.169.254/latest", "", None,
     5, ["https://a"], "//127.0.0.1/keys", "/keys", "http://127.0.0.1:99999/", "https://a\r\nHost: b/", "https://a/#b",
     "https://x@127.0.0.1/", "https://a\\@b/", "https://\u0430.example/"],
)  # fmt: skip
def test_o11_a_jwks_uri_that_is_not_a_plain_https_url_is_refused(issuer, uri):
    """GHSA-993g-76c3-p5m4: keys must never come from file:, ftp: or data: URLs."""
    issuer.says(jwks_uri=uri)
    refused(issuer, "jwks_uri: the URL in the metadata is missing or not usable")


@pytest.mark.parametrize("path", ["", "/tenant", "/a/b"])
def test_o15_the_well_known_path_is_inserted_before_the_issuers_path(path):
    with Issuer(path=path) as issuer:
        assert KEY.kid in loaded(issuer).keys
        assert issuer.asked[METADATA + path] == 1


def test_o15_well_known_urls():
    assert well_known_url("https://a.example/", "jwks.json") == "https://a.example/.well-known/jwks.json"
    assert well_known_url("https://a.example/b/", "x") == "https://a.example/.well-known/x/b"
    assert openid_configuration_url("https://a.example/b/") == "https://a.example/b" + OPENID


def test_openid_metadata_is_used_only_if_it_is_configured():
    with Issuer(path="/tenant") as issuer:
        issuer.answers["/tenant" + OPENID] = issuer.answers.pop(METADATA + "/tenant")
        issuer.answers[METADATA + "/tenant"] = (404, {}, b"")
        refused(issuer, "404")
        assert issuer.asked["/tenant" + OPENID] == 0
        assert KEY.kid in loaded(issuer, openid=True).keys


@pytest.mark.parametrize(
    "answer",
    [
        *((status, {}, b"") for status in (400, 401, 403, 404, 405, 410, 429)),
        *((status, {"location": "/sign-in"}, b"") for status in (301, 302, 303, 307, 308)),
        (200, {"content-type": "text/html"}, b"<!doctype html><title>An app that answers every path</title>"),
        (200, {"content-type": "application/json"}, b"<!doctype html>"),
        (200, {"content-type": "application/json"}, b'"not found"'),
        (200, {}, b""),
    ],
)
def test_an_issuer_that_has_only_the_openid_document_is_found(issuer, answer):
    issuer.answers[OPENID] = issuer.answers[METADATA]
    issuer.answers[METADATA] = answer
    with pytest.raises(FetchFailed):
        loaded(issuer)
    assert issuer.asked[OPENID] == 0
    assert KEY.kid in loaded(issuer, openid=True).keys


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_that_fails_is_a_failure_and_the_openid_document_is_not_asked_instead(issuer, status):
    issuer.answers[OPENID] = issuer.answers[METADATA]
    issuer.answers[METADATA] = (status, {}, b"")
    refused(issuer, str(status), openid=True)
    assert issuer.asked[OPENID] == 0


def test_a_server_that_does_not_answer_is_a_failure_too(issuer, monkeypatch):
    monkeypatch.setattr(source, "DEADLINE", 0.3)
    issuer.answers[OPENID] = issuer.answers[METADATA]
    issuer.answers[METADATA] = (200, {"content-type": "application/json"}, lambda _: time.sleep(1))
    refused(issuer, "deadline|TimeoutError|incomplete", openid=True)
    assert issuer.asked[OPENID] == 0


def test_o15_openid_metadata_must_be_about_the_issuer_too(issuer):
    issuer.answers[OPENID] = json_answer({"issuer": "https://evil.example", "jwks_uri": issuer.origin + JWKS})
    issuer.answers[METADATA] = (404, {}, b"")
    refused(issuer, "another issuer", openid=True)


# -- permitted addresses -----------------------------------------------------------------------------------------------

REFUSED_URLS = (
    "http://auth.example.com", "http://10.0.0.1", "file:///etc/passwd", "data:,x", "ftp://a.example",
    "auth.example.com", "", "https://", "https://a@b.example", "https://a.example?x=1", "https://a.example?", "https://a.example#",
    "https://a b", "https://a.example\n", "https://a.example\r\nX: y", "http://127.0.0.1.evil.example",
    "http://localhost.evil.example",    None, 5, b"https://a.example",
)  # fmt: skip


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_c4_only_https_urls_are_accepted_and_http_on_loopback_for_development(url):
    with pytest.raises(ConfigurationError):
        RemoteKeys(url, development=True)


def test_c4_http_on_the_loopback_interface_must_be_configured():
    RemoteKeys("http://127.0.0.1:8000", development=True)
    for parameters in (
        {"issuer": "http://127.0.0.1:8000"},
        {"issuer": "https://a.example", "jwks_uri": "http://localhost"},
    ):
        with pytest.raises(ConfigurationError, match="development"):
            RemoteKeys(**parameters)


PRIVATE = (
    "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1",
    "fd12::1",    "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1",
    "2002:a00:1::",    "2001:0:a00:1::1", "2001:db8::1", "2130706433", "0x7f.1", "", "localhost", "10.0.0.1 ",
)  # fmt: skip
PUBLIC = ("93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.mark.parametrize("address", PRIVATE)
def test_c5_addresses_that_are_not_public_are_refused_even_wrapped_in_ipv6(address):
    assert not AddressRule().permits(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address):
    assert AddressRule().permits(address)


def test_c5_private_networks_are_permitted_if_they_are_configured():
    rule = AddressRule(networks=("10.20.0.0/16", "fd00:1::/32"))
    assert [rule.permits(text) for text in ("10.20.3.4", "::ffff:10.20.3.4", "fd00:1::5")] == [True, True, True]
    assert [rule.permits(text) for text in ("10.21.0.1", "127.0.0.1", "fd00:2::5")] == [False, False, False]
    with pytest.raises(ConfigurationError, match="network"):
        AddressRule(networks=("10.20.0.1/16",))


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::ffff:127.0.0.1", "169.254.169.254"])
def test_c5_a_name_that_resolves_to_our_network_is_refused(authority, address):
    with Issuer(tls=authority.server_context(NAME), name=NAME) as issuer:
        refused(issuer, "permitted network", ca_file=authority.ca_file, resolve=lambda host, port: [address])
        assert not issuer.asked


@pytest.mark.parametrize("url", ["https://127.0.0.1", "https://10.0.0.5/keys", "https://2130706433", "https://0x7f.1"])
def test_c5_a_jwks_uri_with_a_private_address_is_refused_in_every_spelling(url):
    with pytest.raises(FetchFailed, match=r"permitted network|gaierror"):
        IssuerSource("https://auth.example.com", jwks_uri=url).load()


def test_c5_dns_rebinding_between_metadata_and_keys_is_refused(authority):
    """The name resolves to the permitted address first, and then to our network, where a canary listens."""
    tls = authority.server_context(NAME)
    with Issuer(tls=tls, name=NAME) as issuer, Issuer(tls=tls, address="127.0.0.2", port=issuer.server_port) as canary:
        answers = iter([["127.0.0.1"], ["127.0.0.2"]])
        parameters = {"ca_file": authority.ca_file, "networks": ("127.0.0.1/32",)}
        refused(issuer, "permitted network", resolve=lambda host, port: next(answers), **parameters)
        assert (issuer.asked, canary.asked) == ({METADATA: 1}, {})


def test_c5_the_connection_goes_to_the_address_that_was_checked(authority):
    """The name is resolved only once for each document, so a second answer cannot differ."""
    asked = []

    def resolve(host, port):
        asked.append(host)
        return ["10.0.0.1", "127.0.0.1"]

    with Issuer(tls=authority.server_context(NAME), name=NAME) as issuer:
        found = loaded(issuer, ca_file=authority.ca_file, networks=("127.0.0.1/32",), resolve=resolve)
        assert KEY.kid in found.keys
    assert asked == [NAME, NAME]


def test_http_never_leaves_the_machine_even_if_localhost_resolves_elsewhere():
    with Issuer(name="localhost") as issuer:
        assert KEY.kid in loaded(issuer).keys
        refused(issuer, "permitted network", resolve=lambda host, port: ["93.184.216.34"])


# -- cache lifetime ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "age"),
    [("max-age=300", 300), ("public, MAX-AGE=10", 10), ('max-age="7"', 7), ("no-store, max-age=9", 0), ("no-cache", 0),
     ("max-age=5, max-age=500", 5), ("max-age=-5", None), ("max-age=1e9", None), ("s-maxage=5", None), ("", None)],
)  # fmt: skip
def test_cache_control_sets_the_lifetime_of_the_keys(issuer, said, age):
    issuer.publish(KEY, cache_control=said)
    assert loaded(issuer).max_age == age
