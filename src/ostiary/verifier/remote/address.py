"""The addresses that we may connect to. Protects against servers that make us call our own network (SSRF)."""

import ipaddress
from collections.abc import Iterable
from typing import Final, TypeAlias

from ostiary.errors import ConfigurationError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")  # RFC 4291 §2.4: servers have no other IPv6 addresses
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1


class AddressRule:
    """Permits public addresses, and others only if they are configured.

    Args:
        loopback: Whether the addresses of this machine are permitted too.
        networks: More networks to permit, such as ``10.20.0.0/16``, for an issuer in a private network.

    Raises:
        ConfigurationError: a text is not a network.
    """

    def __init__(self, *, loopback: bool = False, networks: Iterable[str] = ()) -> None:
        self._loopback = loopback
        self._networks = tuple(map(_network, networks))

    def permits(self, text: str) -> bool:
        """Whether we may connect to the IP address ``text``."""
        try:
            address = _meant(ipaddress.ip_address(text))
        except ValueError:
            return False
        if self._loopback and address.is_loopback:
            return True
        return _is_public(address) or any(address in network for network in self._networks)


def is_loopback(text: str) -> bool:
    try:
        return _meant(ipaddress.ip_address(text)).is_loopback
    except ValueError:
        return False


def _meant(address: Address) -> Address:
    """The IPv4 address inside an IPv6 address that only wraps it: ``::ffff:10.0.0.1`` is 10.0.0.1."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ConfigurationError(f"a network must be like 10.20.0.0/16, not {text!r}") from None
