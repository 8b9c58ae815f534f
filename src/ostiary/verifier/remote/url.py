"""The URLs of an issuer: which ones are accepted, and the well-known URLs of RFC 8414 and OpenID Connect."""

import re
import urllib.parse
from typing import Final, NamedTuple

from ostiary.errors import ConfigurationError
from ostiary.verifier.cookies import LOOPBACK_HOSTS

_VISIBLE: Final = re.compile(r"[!-~]+")  # a line break in a URL would add headers to our request
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]+")
_PORTS: Final = {"https": 443, "http": 80}


class Url(NamedTuple):
    """A parsed URL. ``host`` is in lower case and without brackets. ``target`` is for the request line."""

    scheme: str
    authority: str
    host: str
    port: int
    path: str
    target: str

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def is_loopback(self) -> bool:
        return self.host in LOOPBACK_HOSTS


def read_url(text: str, *, development: bool = False) -> Url:
    """Reads an ``https`` URL without user and fragment.

    With ``development``, ``http`` is accepted on the loopback interface.

    Raises:
        ConfigurationError: any other URL, such as ``file:``, ``data:`` or ``https://issuer@evil``.
    """
    url = _split(text)
    if url is None:
        raise ConfigurationError(f"the URL must be an https URL without user and fragment: {text!r:.200}")
    if url.scheme == "http" and not (development and url.is_loopback):
        raise ConfigurationError(
            "http is only for the loopback interface, and only with development=True: use https elsewhere"
        )
    return url


def read_issuer(text: str, *, development: bool = False) -> Url:
    """Like `read_url`, but the URL must not have a query (RFC 8414 §2)."""
    url = read_url(text, development=development)
    if "?" in text:
        raise ConfigurationError("an issuer must not have a query: remove the ? and what follows it")
    return url


def well_known_url(issuer: str, name: str) -> str:
    """``https://host/path`` → ``https://host/.well-known/<name>/path`` (RFC 8414 §3.1, without a final slash)."""
    parts = urllib.parse.urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}/.well-known/{name}{parts.path.rstrip('/')}"


def openid_configuration_url(issuer: str) -> str:
    """Appends the well-known path to the issuer's path instead of inserting it (OpenID Connect Discovery 1.0 §4)."""
    return issuer.rstrip("/") + "/.well-known/openid-configuration"


def _split(text: str) -> Url | None:
    if not isinstance(text, str) or not _VISIBLE.fullmatch(text) or "\\" in text or "#" in text:
        return None
    try:
        parts = urllib.parse.urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    if parts.scheme not in _PORTS or not _HOST.fullmatch(host) or "@" in parts.netloc:
        return None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Url(parts.scheme, parts.netloc, host, port or _PORTS[parts.scheme], parts.path, target)
