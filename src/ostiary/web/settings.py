"""Settings of the HTTP edge."""

import ipaddress
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from ostiary.core.settings import Section, Settings, plain_url, setting

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_BROADEST_IPV4: Final = 8  # 10.0.0.0/8 is the largest private network (RFC 1918), and registries give out no larger one
_BROADEST_IPV6: Final = 16  # registries give out /19 at most
_PRIVATE_IPV6: Final = ipaddress.IPv6Network("fc00::/7")  # RFC 4193


def _check_proxies(proxies: tuple[str, ...], _: Settings) -> str | None:
    for proxy in proxies:
        try:
            network = ipaddress.ip_network(proxy)
        except ValueError:
            return f"must be networks such as 10.0.0.0/8, not {proxy!r}"
        if _is_too_broad(network):
            return f"must name your proxies, not {proxy!r}: every caller in it could choose the address that counts"
    return None


def _is_too_broad(network: Network) -> bool:
    """Whether it is broader than the networks of one operator. Every caller in it could evade the rate limits."""
    if isinstance(network, ipaddress.IPv4Network):
        return network.prefixlen < _BROADEST_IPV4
    return network.prefixlen < _BROADEST_IPV6 and not network.subnet_of(_PRIVATE_IPV6)


def _check_origins(origins: tuple[str, ...], _: Settings) -> str | None:
    for origin in origins:
        parts = plain_url(origin)
        if parts is None or parts.path:
            return f"must be like https://app.example.com, not {origin!r}"
    return None


@dataclass(frozen=True, kw_only=True)
class WebSettings(Section):
    section: ClassVar[str] = "web"

    trusted_proxies: tuple[str, ...] = setting(
        "Networks whose X-Forwarded-For header is trusted, read from the right. The broadest are a /8 of IPv4, a /16 "
        "of IPv6 and fc00::/7. Empty: the address of the connection counts.",
        (),
        check=_check_proxies,
    )
    trusted_origins: tuple[str, ...] = setting(
        "Other origins whose requests may carry cookies.", (), check=_check_origins
    )
    access_log: bool = setting("Log every request, not only refusals and failures.", default=False)
    body_limit: int = setting("The largest request body, in bytes.", 64 * 1024, least=1024, most=1024 * 1024)

    @property
    def proxies(self) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(proxy) for proxy in self.trusted_proxies)
