"""What concerns the whole installation, and the way to every section."""

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, TypeVar

from ostiary.core.settings.secret import NEW_SECRET, Secret
from ostiary.core.settings.section import Section, setting
from ostiary.core.settings.urls import check_server_url, plain_url
from ostiary.verifier import LOOPBACK_HOSTS

_DEVELOPMENT_ISSUER: Final = "http://127.0.0.1:8000"

S = TypeVar("S", bound=Section)


def _check_issuer(issuer: str, settings: "Settings") -> str | None:
    # RFC 8414 §2: an https URL without query or fragment. http is for development on this machine.
    parts = plain_url(issuer)
    if parts is None:
        return f"must be an http(s) URL without user, query or fragment, not {issuer!r}"
    if issuer.endswith("/"):
        return "must not end with a slash, because verifiers compare `iss` character by character"
    if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
        return "must be https, except on the loopback interface"
    if settings.production and issuer == _DEVELOPMENT_ISSUER:
        return "must be set in production: the https URL under which callers reach this server"
    if settings.production and parts.scheme == "http":
        return "must be https in production"
    return None


def _check_database(url: str, _: "Settings") -> str | None:
    if "://" not in url:
        return "must be like sqlite:///file.db or postgresql://user@host/name"
    # the path of an SQLite file may have spaces and letters of any script, and no password
    return None if url.startswith("sqlite:") else check_server_url(url)


def _check_hot(url: str | None, _: "Settings") -> str | None:
    if url is None:
        return None
    return check_server_url(url) if "://" in url else "must be like valkey://host:6379/0, or valkeys:// with TLS"


def _check_prefix(prefix: str, _: "Settings") -> str | None:
    fits = re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", prefix)
    return None if fits else f"must be a path such as /auth, not {prefix!r}"


def _check_secret(secret: Secret | None, settings: "Settings") -> str | None:
    if secret is not None and not secret.reveal().strip():
        return f"must not be empty. This prints a new one: {NEW_SECRET}"
    needed = settings.production and secret is None
    return f"must be set in production. This prints a new one: {NEW_SECRET}" if needed else None


@dataclass(frozen=True, kw_only=True)
class Settings(Section):
    """Every setting of an installation: the top-level ones as attributes, the others with ``of(SectionClass)``.
    Durations are whole seconds."""

    section: ClassVar[str] = ""

    database: str = setting(
        "The database: sqlite:///file.db or postgresql://user@host/name.",
        "sqlite:///ostiary.db",
        check=_check_database,
        shown=False,
    )
    issuer: str = setting(
        "The URL under which callers reach Ostiary. It is the `iss` claim of every token.",
        _DEVELOPMENT_ISSUER,
        check=_check_issuer,
    )
    production: bool = setting("Refuse to start with development defaults.", default=False)
    prefix: str = setting("The path under which the routes are served.", "/auth", check=_check_prefix)
    secret: Secret | None = setting(
        "The master secret: at least 32 random bytes as text. To rotate it, give several, newest first, separated by "
        "spaces. Empty: a file beside the SQLite database.",
        None,
        check=_check_secret,
    )
    hot: str | None = setting(
        "Where rate limits and replay caches are kept: valkey://host:port/0, valkey+sentinel://host,host/service or "
        "valkey+cluster://host,host. Empty: in the database.",
        None,
        check=_check_hot,
        shown=False,
    )
    sections: Mapping[type[Section], Any] = field(default_factory=dict, repr=False)

    def of(self, section: type[S]) -> S:
        """The settings of a slice. Raises LookupError where no enabled slice states them."""
        found: S = self.sections[section]
        return found

    @property
    def issuer_host(self) -> str:
        return urllib.parse.urlsplit(self.issuer).hostname or ""

    @property
    def issuer_origin(self) -> str:
        """The issuer's origin as browsers write it: lower case, without the scheme's default port (RFC 6454 §6.2)."""
        parts = urllib.parse.urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}".lower().removesuffix(":443" if parts.scheme == "https" else ":80")
