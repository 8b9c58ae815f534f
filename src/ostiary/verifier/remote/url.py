"""The URLs of an issuer: which are taken, and where RFC 8414 and OpenID Connect put what is well known."""

import re
import urllib.parse
from typing import Final, NamedTuple

from ostiary.errors import ConfigurationError

_VISIBLE: Final = re.compile(r"[!-~]+")  # a line break in a URL would write further headers into our request
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]+")
_LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS: Final = {"https": 443, "http": 80}


class Url(NamedTuple):
    """A URL, taken apart once. ``host`` is in lower case and without brackets, ``target`` for the request line."""

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
        return self.host in _LOOPBACK_HOSTS


def read_url(text: str, *, development: bool = False) -> Url:
    """Takes ``https`` URLs without user and fragment, with ``development`` also ``http`` on the loopback interface.

    Raises:
        ConfigurationError: anything else, such as ``file:``, ``data:`` or ``https://issuer@evil``.
    """
    url = _split(text)
    if url is None:
        raise ConfigurationError(f"not an https URL without user and fragment: {text!r:.200}")
    if url.scheme == "http" and not (development and url.is_loopback):
        raise ConfigurationError("http is only for the loopback interface, and only with development=True")
    return url


def read_issuer(text: str, *, development: bool = False) -> Url:
    """As `read_url`, and without query (RFC 8414 §2)."""
    url = read_url(text, development=development)
    if "?" in text:
        raise ConfigurationError("an issuer has no query")
    return url


def well_known_url(issuer: str, name: str) -> str:
    """``https://host/path`` → ``https://host/.well-known/<name>/path`` (RFC 8414 §3.1, without a final slash)."""
    parts = urllib.parse.urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}/.well-known/{name}{parts.path.rstrip('/')}"


def openid_configuration_url(issuer: str) -> str:
    """Appended, not inserted (OpenID Connect Discovery 1.0 §4)."""
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
