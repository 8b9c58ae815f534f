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


def _check_proxies(proxies: tuple[str, ...], _: Settings) -> str | None:
    for proxy in proxies:
        try:
            ipaddress.ip_network(proxy)
        except ValueError:
            return f"must be networks such as 10.0.0.0/8, not {proxy!r}"
    return None


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
        "Networks whose X-Forwarded-For header is trusted, read from the right. Empty: the address of the connection "
        "counts.",
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
