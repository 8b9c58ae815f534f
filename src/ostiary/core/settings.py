"""One frozen `Settings`, checked when it is made: argument, then environment, then toml, then default."""

import dataclasses
import difflib
import ipaddress
import os
import re
import tomllib
import urllib.parse
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_type_hints

from ostiary.core.resource import problem_with
from ostiary.errors import ConfigurationError
from ostiary.jose.algorithms import ASYMMETRIC
from ostiary.store.hot import Rate

ENVIRONMENT_PREFIX: Final = "OSTIARY_"

NEW_SECRET: Final = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'  # noqa: S105 — the command, no secret
"""The command that prints a master secret."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_UNITS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Secret(str):
    """A text that must not be printed: its repr and its format hide it. Read it with ``reveal()``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('…')"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def reveal(self) -> str:
        return str.__str__(self)


def _setting(doc: str, default: Any = dataclasses.MISSING, *, shown: bool = True) -> Any:
    return dataclasses.field(default=default, repr=shown, metadata={"doc": doc})


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Every setting of an installation. Durations are in whole seconds. What may hold a password is not in its repr."""

    database: str = _setting(
        "Where the rows are: sqlite:///file.db or postgresql://user@host/name.", "sqlite:///ostiary.db", shown=False
    )
    hot: str | None = _setting("Where counters are: valkey://host:port/0. Empty: in the database.", None, shown=False)
    secret: Secret | None = _setting(
        "The master secret, at least 32 random bytes as text; several, newest first, separated by spaces. "
        "Empty: a file beside the SQLite database.",
        None,
    )
    issuer: str = _setting(
        "The URL under which callers reach Ostiary; the `iss` of its tokens.", "http://127.0.0.1:8000"
    )
    production: bool = _setting("Refuse to start with development defaults.", default=False)
    prefix: str = _setting("The path under which the routes are served.", "/auth")
    access_lifetime: int = _setting("Seconds an access token is valid.", 15 * 60)
    key_lifetime: int = _setting("Seconds a signing key signs, until the next one takes over.", 90 * 86400)
    key_algorithm: str = _setting(
        "The algorithm of signing keys, such as ES256, Ed25519 or RS256. A change takes effect with the next key.",
        "ES256",
    )
    session_lifetime: int = _setting("Seconds after which a session ends, however often it is refreshed.", 30 * 86400)
    session_idle: int = _setting("Seconds after which a session ends that is not refreshed.", 14 * 86400)
    session_limit: int = _setting("Sessions that an account may have at once.", 5)
    session_limit_policy: str = _setting(
        "What a sign-in beyond that does: `end-oldest` ends the account's oldest session, `refuse` is answered 409.",
        "end-oldest",
    )
    refresh_grace: int = _setting(
        "Seconds in which a spent refresh token gets its successor once more, so that a lost answer ends no session. "
        "0: never, a second use always ends the session.",
        10,
    )
    resources: tuple[str, ...] = _setting(
        "URLs of other services for which access tokens may be asked, beside those of service clients.", ()
    )
    status_lists: bool = _setting(
        "Whether access tokens name a bit in a published status list, by which other services see revocations.",
        default=True,
    )
    attempt_lifetime: int = _setting("Seconds a sign-in with several steps may take.", 300)
    verification_lifetime: int = _setting("Seconds the link in a registration mail is valid.", 24 * 3600)
    require_verified_email: bool = _setting(
        "Whether an account exists only after the link in its mail was used. False tells anyone who registers "
        "whether an address is taken. The default is the value of `production`.",
        default=False,
    )
    limit_login: Rate = _setting("Sign-in attempts per source; a success gives its own back.", Rate(5, 60))
    limit_register: Rate = _setting("Registrations per source.", Rate(10, 60))
    smtp: Secret | None = _setting(
        "smtp://user:password@host:587 (STARTTLS) or smtps://… . Empty: mails are printed to the console.", None
    )
    mail_from: str = _setting("The sender of mails.", "Ostiary <no-reply@localhost>")
    trusted_proxies: tuple[str, ...] = _setting(
        "Networks whose X-Forwarded-For is believed, read from the right. Empty: the socket's address counts.", ()
    )
    trusted_origins: tuple[str, ...] = _setting("Origins beside our own that may send requests with cookies.", ())
    body_limit: int = _setting("Bytes a request body may have.", 64 * 1024)
    argon2_memory: int = _setting("KiB of memory for one password hash.", 19 * 1024)
    argon2_time: int = _setting("Passes for one password hash.", 2)
    hashing_threads: int = _setting("Password hashes computed at once. 0: one for each core.", 0)
    hashing_queue: int = _setting("Password hashes that may wait; further callers get 503.", 64)
    feed_staleness: int = _setting("Seconds without a successful look at the change feed before tokens are refused.", 5)
    feed_policy: str = _setting(
        "What happens then: `refuse` answers 503, `serve` goes on with the revocations that are known. Tokens are "
        "issued in neither case.",
        "refuse",
    )

    def __post_init__(self) -> None:
        for problem in problems(self):
            raise ConfigurationError(problem)

    @property
    def issuer_host(self) -> str:
        return urllib.parse.urlsplit(self.issuer).hostname or ""

    @property
    def issuer_origin(self) -> str:
        """How browsers write the issuer's origin: lower case, without the scheme's own port (RFC 6454 §6.2)."""
        parts = urllib.parse.urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}".lower().removesuffix(":443" if parts.scheme == "https" else ":80")

    @property
    def proxies(self) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(proxy) for proxy in self.trusted_proxies)


def problems(settings: Settings) -> list[str]:
    """What is wrong with the settings, one line each, the most important first."""
    return [
        *_wrong_issuer(settings),
        *_wrong_numbers(settings),
        *_wrong_choices(settings),
        *_wrong_algorithm(settings),
        *_wrong_networks(settings),
        *_wrong_resources(settings),
        *_unsafe_in_production(settings),
    ]


def _wrong_issuer(settings: Settings) -> list[str]:
    found = []
    # RFC 8414 §2: an https URL without query or fragment. http is for development on this machine.
    issuer = _plain_url(settings.issuer)
    if issuer is None:
        found.append(f"issuer must be an http(s) URL without user, query or fragment, not {settings.issuer!r}")
    elif settings.issuer.endswith("/"):
        found.append("issuer must not end with a slash: `iss` is compared to the letter")
    elif issuer.scheme == "http" and issuer.hostname not in _LOOPBACK:
        found.append("issuer must be https, except on the loopback interface")
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", settings.prefix):
        found.append(f"prefix must be a path such as /auth, not {settings.prefix!r}")
    return found


def _plain_url(text: str) -> urllib.parse.SplitResult | None:
    """The parts of a URL that has scheme, host, port and path only, or None. What urlsplit() drops in silence, such as
    a line break, would stay in `iss` and in the links of mails."""
    if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~/-]*)?", text):
        return None
    try:
        parts = urllib.parse.urlsplit(text)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:  # an address in brackets that is none, a port beyond 65535
        return None


# name, least, most: far-off values are typing errors or attacks on ourselves
_BOUNDS: Final = (
    ("access_lifetime", 10, 24 * 3600),
    ("key_lifetime", 3600, 400 * 86400),
    ("session_lifetime", 60, 400 * 86400),
    ("session_idle", 60, 400 * 86400),
    ("session_limit", 1, 10_000),
    ("refresh_grace", 0, 60),
    ("attempt_lifetime", 30, 3600),
    ("verification_lifetime", 60, 24 * 3600),  # SP 800-63B-4 §4.2.1.2: at most 24 hours by mail
    ("body_limit", 1024, 1024 * 1024),
    ("argon2_memory", 19 * 1024, 1024 * 1024),  # OWASP ASVS 5.0 appendix C: at least 19 MiB with two passes
    ("argon2_time", 2, 64),
    ("hashing_threads", 0, 1024),
    ("hashing_queue", 1, 100_000),
    ("feed_staleness", 1, 60),
)


def _wrong_numbers(settings: Settings) -> list[str]:
    found = []
    for name, least, most in _BOUNDS:
        value = getattr(settings, name)
        if not least <= value <= most:
            found.append(f"{name} must be between {least} and {most}, not {value}")
    for name in [field.name for field in dataclasses.fields(settings) if field.type is Rate]:
        rate = getattr(settings, name)
        if not (1 <= rate.count <= 1_000_000 and 1 <= rate.seconds <= 86400):
            found.append(f"{name} must be like 5/minute")
    return found


_CHOICES: Final = (("session_limit_policy", ("end-oldest", "refuse")), ("feed_policy", ("refuse", "serve")))


def _wrong_choices(settings: Settings) -> list[str]:
    return [
        f"{name} must be {' or '.join(choices)}, not {getattr(settings, name)!r}"
        for name, choices in _CHOICES
        if getattr(settings, name) not in choices
    ]


def _wrong_algorithm(settings: Settings) -> list[str]:
    # A shared secret (HS256) could not be published: every service that verifies could also sign. Signatures of ML-DSA
    # are so long that the access token would not fit into a cookie (RFC 6265 §6.1: 4096 bytes).
    offered = [name for name in ASYMMETRIC if not name.startswith("ML-DSA")]
    if settings.key_algorithm in offered:
        return []
    return [f"key_algorithm must be one of {', '.join(offered)}, not {settings.key_algorithm!r}"]


def _wrong_networks(settings: Settings) -> list[str]:
    found = []
    for proxy in settings.trusted_proxies:
        try:
            ipaddress.ip_network(proxy)
        except ValueError:
            found.append(f"trusted_proxies must be networks such as 10.0.0.0/8, not {proxy!r}")
    for origin in settings.trusted_origins:
        parts = _plain_url(origin)
        if parts is None or parts.path:
            found.append(f"trusted_origins must be like https://app.example.com, not {origin!r}")
    return found


def _wrong_resources(settings: Settings) -> list[str]:
    if _plain_url(settings.issuer) is None:
        return []  # that comes first, and nothing can be compared with it
    found = [(resource, problem_with(resource, issuer=settings.issuer)) for resource in settings.resources]
    return [f"resources: {problem} Not {resource!r}" for resource, problem in found if problem is not None]


def _unsafe_in_production(settings: Settings) -> list[str]:
    if not settings.production:
        return []
    found = []
    if settings.issuer == _default("issuer"):
        found.append("production needs OSTIARY_ISSUER, the https URL under which callers reach this server")
    elif settings.issuer.startswith("http:"):
        found.append("production needs an https issuer")
    if settings.secret is None:
        found.append(f"production needs OSTIARY_SECRET: {NEW_SECRET}")
    if settings.require_verified_email and settings.smtp is None:
        found.append("production needs OSTIARY_SMTP, so that registration mails arrive")
    return found


def _default(name: str) -> Any:
    return next(field.default for field in dataclasses.fields(Settings) if field.name == name)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a setting's value came from: ``argument``, ``OSTIARY_…``, the toml file's name, or ``default``."""

    name: str
    source: str


def load(
    arguments: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    toml: str | os.PathLike[str] | None = None,
) -> tuple[Settings, tuple[Origin, ...]]:
    """Settings from all their sources, and where each came from.

    Raises:
        ConfigurationError: a value cannot be read, a name is unknown, or the values make no safe installation.
    """
    hints = get_type_hints(Settings)
    _refuse_unknown_variables(environ or {}, hints)
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    read: dict[str, tuple[Any, str]] = {}
    for name, value in _from_toml(toml).items():
        read[name] = (value, str(toml))
    for name in hints:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if environ is not None and environ.get(variable):
            read[name] = (environ[variable], variable)
    for name, value in given.items():
        read[name] = (value, "argument")
    for name, (_, source) in read.items():
        if name not in hints:
            raise ConfigurationError(f"{source}: there is no setting called {name!r}")
    values = {name: _convert(name, value, source, hints[name]) for name, (value, source) in read.items()}
    values.setdefault("require_verified_email", values.get("production", False))
    origins = tuple(Origin(name, read[name][1] if name in read else "default") for name in hints)
    return Settings(**values), origins


def _refuse_unknown_variables(environ: Mapping[str, str], names: Collection[str]) -> None:
    """A misspelt OSTIARY_PRODUCTION would otherwise start a development server, and say nothing."""
    known = {ENVIRONMENT_PREFIX + name.upper() for name in names}
    for variable in sorted(environ):
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in known:
            near = difflib.get_close_matches(variable, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigurationError(f"{variable}: there is no such setting{hint}")


def _from_toml(path: str | os.PathLike[str] | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise ConfigurationError(f"{path}: {problem}") from None


def _convert(name: str, value: Any, source: str, hint: Any) -> Any:
    try:
        return _converted(value, hint)
    except (TypeError, ValueError) as problem:
        raise ConfigurationError(f"{source}: {name} {problem}") from None


def _converted(value: Any, hint: Any) -> Any:
    if hint is bool:
        return _as_bool(value)
    if hint is int:
        return _as_int(value)
    if hint is Rate:
        return value if isinstance(value, Rate) else parse_rate(value)
    if hint == tuple[str, ...]:
        return tuple(value.split()) if isinstance(value, str) else tuple(_as_text(item) for item in value)
    if hint == Secret | None:
        return Secret(_as_text(value))
    return _as_text(value)


def _as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"must be text, not {type(value).__name__}")
    return value


def _as_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if not isinstance(value, str) or value.lower() not in words:
        raise ValueError("must be true or false")
    return words[value.lower()]


def _as_int(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    # int() would also take '1_0', ' 1 ' and other scripts' digits
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,12}", value):
        raise ValueError("must be a whole number")
    return int(value)


def parse_rate(text: Any) -> Rate:
    """``5/minute``, ``100/hour``, ``3/30s`` → Rate. Raises ValueError with what is expected."""
    if isinstance(text, str):
        if named := re.fullmatch(r"([0-9]{1,7})/(second|minute|hour|day)", text):
            return Rate(int(named[1]), _UNITS[named[2]])
        if counted := re.fullmatch(r"([0-9]{1,7})/([0-9]{1,5})s", text):
            return Rate(int(counted[1]), int(counted[2]))
    raise ValueError("must be like 5/minute or 3/30s")
