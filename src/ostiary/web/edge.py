"""The values that the edge derives from the settings, computed once."""

import urllib.parse
from dataclasses import dataclass
from typing import Final

from ostiary.core.plug import Place, Route
from ostiary.core.settings import Settings
from ostiary.verifier import CookieNames, checked_origins, cookie_names
from ostiary.web.settings import Network, WebSettings

WELL_KNOWN: Final = "/.well-known/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    own_origins: frozenset[str]
    trusted_origins: frozenset[str]
    """Those whose requests may carry cookies."""
    readers: frozenset[str]
    """Every origin whose scripts may read answers."""
    proxies: tuple[Network, ...]
    body_limit: int
    is_https: bool
    cookies: CookieNames

    @classmethod
    def of(cls, settings: Settings) -> "Edge":
        """Raises ConfigurationError for origins in a form that browsers never send."""
        web = settings.of(WebSettings)
        return cls(
            own_origins=checked_origins((settings.issuer_origin,)),
            trusted_origins=checked_origins(web.cookie_origins),
            readers=frozenset(web.trusted_origins),
            proxies=web.proxies,
            body_limit=web.body_limit,
            is_https=settings.issuer_origin.startswith("https:"),
            cookies=cookie_names(settings.issuer),
        )


def placed(route: Route, settings: Settings) -> str:
    """The full path of a route. ``/.well-known/…`` comes before the path of the issuer (RFC 8414 §3)."""
    if route.place is Place.PREFIX:
        return settings.prefix + route.path
    if route.path.startswith(WELL_KNOWN):
        return route.path + urllib.parse.urlsplit(settings.issuer).path
    return route.path
