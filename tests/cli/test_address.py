"""An address must be an IP address, and it has a URL that works on this machine."""

import pytest

from ostiary.cli.address import Address
from ostiary.errors import ConfigurationError


@pytest.mark.parametrize(
    ("host", "text", "url", "loopback_url"),
    [
        ("127.0.0.1", "127.0.0.1:80", "http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("localhost", "127.0.0.1:80", "http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("0.0.0.0", "0.0.0.0:80", "http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("192.0.2.1", "192.0.2.1:80", "http://192.0.2.1:80", "http://127.0.0.1:80"),
        ("::1", "[::1]:80", "http://[::1]:80", "http://[::1]:80"),
        ("::", "[::]:80", "http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_an_address_is_formatted_for_urls(host, text, url, loopback_url):
    address = Address.parse(host, 80)
    assert (str(address), address.url, address.loopback_url) == (text, url, loopback_url)


@pytest.mark.parametrize("host", ["", "auth.example.com", "127.1", "1.2.3.4\nx", "[::1]"])
def test_host_names_and_incomplete_addresses_are_refused(host):
    with pytest.raises(ConfigurationError, match="must be an IP address"):
        Address.parse(host, 80)
