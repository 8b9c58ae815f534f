"""Settings of the HTTP edge."""

import ipaddress
import re
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from ostiary.core.settings import Section, Settings, plain_url, setting

_APP_ORIGIN: Final = re.compile(
    r"(?:capacitor|ionic|tauri|chrome-extension|moz-extension|safari-web-extension)://[A-Za-z0-9.-]+(?::[0-9]{1,5})?"
)
"""What the scripts of installed apps and browser extensions send as ``Origin``."""

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_BROADEST_IPV4: Final = 8  # 10.0.0.0/8 is the largest private network (RFC 1918), and registries give out no larger one
_BROADEST_IPV6: Final = 16  # registries give out /19 at most
_PRIVATE_IPV6: Final = ipaddress.IPv6Network("fc00::/7")  # RFC 4193


def _check_proxies(proxies: tuple[str, ...], _: Settings) -> str | None:
    for proxy in proxies:
        try:
            network = ipaddress.ip_network(proxy)
        except ValueError as problem:
            return f"must be networks such as 10.0.0.0/8, not {proxy!r}{_cause(proxy, problem)}"
        if _is_too_broad(network):
            return (
                f"must name your proxies, but {proxy!r} is too broad: any caller in it could forge its address "
                "with X-Forwarded-For"
            )
    return None


def _cause(proxy: str, problem: ValueError) -> str:
    if "," in proxy:
        return ": separate items with spaces"
    return ": it has host bits set" if "host bits" in str(problem) else ""


def _is_too_broad(network: Network) -> bool:
    """Whether it is broader than the networks of one operator. Every caller in it could evade the rate limits."""
    if isinstance(network, ipaddress.IPv4Network):
        return network.prefixlen < _BROADEST_IPV4
    return network.prefixlen < _BROADEST_IPV6 and not network.subnet_of(_PRIVATE_IPV6)


def _check_origins(origins: tuple[str, ...], _: Settings) -> str | None:
    for origin in origins:
        if _APP_ORIGIN.fullmatch(origin):
            continue
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
        "Other origins whose scripts may use the routes (CORS): with tokens, and on the same site also with cookies. "
        "Apps and extensions, such as capacitor://localhost, can only use tokens.",
        (),
        check=_check_origins,
    )
    access_log: bool = setting("Log every request, not only refusals and failures.", default=False)
    body_limit: int = setting("The largest request body, in bytes.", 64 * 1024, least=1024, most=1024 * 1024)

    @property
    def cookie_origins(self) -> tuple[str, ...]:
        """The trusted origins whose requests may carry cookies."""
        return tuple(origin for origin in self.trusted_origins if not _APP_ORIGIN.fullmatch(origin))

    @property
    def proxies(self) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(proxy) for proxy in self.trusted_proxies)
