"""An address is an IP address, and says how this machine reaches it."""

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
def test_it_is_written_as_urls_have_it(host, text, url, loopback_url):
    address = Address.parse(host, 80)
    assert (str(address), address.url, address.loopback_url) == (text, url, loopback_url)


@pytest.mark.parametrize("host", ["", "auth.example.com", "127.1", "1.2.3.4\nx", "[::1]"])
def test_names_and_half_addresses_are_refused(host):
    with pytest.raises(ConfigurationError, match="must be an IP address"):
        Address.parse(host, 80)
