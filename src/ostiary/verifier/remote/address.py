"""Which addresses a name may lead to: the defence against a server that makes us call our own network (SSRF)."""

import ipaddress
from collections.abc import Iterable
from typing import Final, TypeAlias

from ostiary.errors import ConfigurationError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")  # RFC 4291 §2.4: what else IPv6 has is no server's
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1


class AddressRule:
    """Public addresses are permitted, others only where somebody said so.

    Args:
        loopback: Whether those of this machine are permitted too.
        networks: Further networks, such as ``10.20.0.0/16``, for an issuer in one's own.

    Raises:
        ConfigurationError: not a network.
    """

    def __init__(self, *, loopback: bool = False, networks: Iterable[str] = ()) -> None:
        self._loopback = loopback
        self._networks = tuple(map(_network, networks))

    def permits(self, text: str) -> bool:
        """Whether a connection to the IP address ``text`` may be made."""
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
    """The IPv4 address behind an IPv6 one that only wraps it: ``::ffff:10.0.0.1`` leads to 10.0.0.1."""
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
        raise ConfigurationError(f"a network is like 10.20.0.0/16, not {text!r}") from None
