"""Settings of the HTTP edge."""

import ipaddress
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from ostiary.core.settings import Section, Settings, plain_url, setting

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def _check_proxies(proxies: tuple[str, ...], _: Settings) -> str | None:
    for proxy in proxies:
        try:
            ipaddress.ip_network(proxy)
        except ValueError:
            return f"must be networks such as 10.0.0.0/8, not {proxy!r}"
    return None


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
        "Networks whose X-Forwarded-For header is trusted, read from the right. Empty: the address of the connection "
        "counts.",
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
