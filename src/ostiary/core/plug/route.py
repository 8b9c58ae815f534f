"""A `Route`: a path with its complete policy. Nothing has a default, so a missing value is an error at import time."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

import msgspec

from ostiary.core.plug.actor import Actor, ActorKind, Source
from ostiary.core.plug.ambient import Ambient
from ostiary.core.plug.clients import Client
from ostiary.core.settings import Section
from ostiary.errors import InvalidClient, MissingCredential, OstiaryError
from ostiary.verifier import Principal

B = TypeVar("B", bound=msgspec.Struct)


class Credential(Enum):
    """The credential that a route reads. Other credentials in the request are ignored. Two for the same role are
    answered with 400."""

    NONE = "none"
    ACCESS = "access"
    """A valid access token, from the header or the cookie. Without one: 401."""
    REFRESH = "refresh"
    """A refresh token, from the field in the body or the cookie. Without one: 400."""
    ANY = "any"
    """The access and refresh tokens in the request, not verified, for ending their session."""
    CLIENT = "client"
    """The id and secret of a service client, from the Authorization header (Basic) or ``client_id`` and
    ``client_secret`` in the body (RFC 6749 §2.3.1). Without them, or with wrong ones: 401."""


class Speaks(Enum):
    """The format of a route's body and errors."""

    JSON = "json"
    """Strict JSON. Errors are problem details (RFC 9457)."""
    OAUTH = "oauth"
    """A form or JSON. Unknown parameters are ignored (RFC 6749 §3.2). Errors are OAuth error objects (§5.2)."""


class Csrf(Enum):
    SAFE = "safe"
    """The route changes nothing (RFC 9110 §9.2.1)."""
    SAME_ORIGIN = "same-origin"
    """A request that has our cookies or asks for them must come from our origin or a trusted one."""


class Place(Enum):
    PREFIX = "prefix"
    """Under the configured prefix, ``/auth``."""
    ROOT = "root"
    """At the root of the host: ``/healthz``, ``/.well-known/…``."""


@dataclass(frozen=True, slots=True)
class PerSource:
    """A setting limits the number of requests per source: ``PerSource(RegistrationSettings, "limit")``. Further
    requests get 429."""

    section: type[Section]
    field: str

    @property
    def name(self) -> str:
        return f"{self.section.section}.{self.field}"


@dataclass(frozen=True, slots=True)
class InChecks:
    """The route's own code counts, in `Check`s or per account, because the count depends on the account or the
    outcome."""


@dataclass(frozen=True, slots=True)
class Unlimited:
    """Deliberately not counted."""

    because: str


Limit: TypeAlias = PerSource | InChecks | Unlimited


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What a route requires, and its format. Routes with the same policy share one object. Nothing has a default."""

    speaks: Speaks
    credential: Credential
    csrf: Csrf
    limit: Limit


_TOKEN_FIRST: Final = Unlimited(because="the access token is checked first, without the database")

OWN_READ: Final = Policy(speaks=Speaks.JSON, credential=Credential.ACCESS, csrf=Csrf.SAFE, limit=_TOKEN_FIRST)
"""The caller reads their own data."""

OWN_WRITE: Final = Policy(speaks=Speaks.JSON, credential=Credential.ACCESS, csrf=Csrf.SAME_ORIGIN, limit=_TOKEN_FIRST)
"""The caller changes their own data."""

PUBLIC: Final = Policy(
    speaks=Speaks.JSON,
    credential=Credential.NONE,
    csrf=Csrf.SAFE,
    limit=Unlimited(because="public data, from memory"),
)
"""Data that anyone may read."""

PAGE: Final = Policy(
    speaks=Speaks.JSON, credential=Credential.NONE, csrf=Csrf.SAFE, limit=Unlimited(because="a constant page")
)
"""A page that a mail links to. Reading it has no effect."""

Transport: TypeAlias = Literal["token", "cookie"]
"""How tokens are returned: in the body, or in cookies that scripts cannot read."""


class Empty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No body (or an empty object), or a query string that is not read."""


class Page(msgspec.Struct, frozen=True):
    """An HTML document. Its scripts have ``nonce``, which becomes part of the Content-Security-Policy."""

    html: str
    nonce: str


class SignedText(msgspec.Struct, frozen=True):
    """A signed text: a JWS in compact form, with the media type ``application/…``."""

    text: str
    media_type: str


class CookieRole(StrEnum):
    ACCESS = "access"
    REFRESH = "refresh"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class SetCookie:
    """A cookie to set, or to delete with ``max_age=0``. The HTTP edge derives name and attributes from the role."""

    role: CookieRole
    value: str
    max_age: int


class Call(msgspec.Struct, Generic[B], frozen=True, kw_only=True):
    """One request, parsed once. ``transport`` is how the caller wants to get tokens, or how it sent them.
    ``from_own_site`` is True if Fetch Metadata or Origin show our own or a trusted origin. Only then may the response
    set cookies."""

    ambient: Ambient
    body: B
    query: Any
    """The route's ``query`` struct."""
    path: Mapping[str, str]
    principal: Principal | None
    client: Client | None
    """The service client, on a route with `Credential.CLIENT`."""
    access_token: str | None
    refresh_token: str | None
    device_token: str | None
    """The device token as sent, on a route whose body has the field ``device_token``: from that field, or with cookie
    transport from the cookie."""
    transport: Transport
    from_own_site: bool
    source: Source
    user_agent: str
    request_id: str
    gone: Callable[[], Awaitable[None]]
    """Returns when the caller has disconnected, for handlers that wait."""
    if_none_match: str | None
    """The If-None-Match header as sent (RFC 9110 §13.1.2). None on routes that change something."""

    @property
    def me(self) -> Principal:
        """The caller, on a route with `Credential.ACCESS`."""
        if self.principal is None:
            raise MissingCredential
        return self.principal

    @property
    def service(self) -> Client:
        """The service client, on a route with `Credential.CLIENT`."""
        if self.client is None:
            raise InvalidClient
        return self.client

    @property
    def actor(self) -> Actor:
        if self.principal is not None:
            return Actor.of(self.principal, source=self.source, user_agent=self.user_agent, request_id=self.request_id)
        kind, identifier = ActorKind.ANONYMOUS, ""
        if self.client is not None:
            kind, identifier = ActorKind.CLIENT, self.client.id
        return Actor(kind, identifier, self.source, self.user_agent, self.request_id)


@dataclass(frozen=True, slots=True)
class Answer:
    """The return value of a handler: one of the statuses and bodies that its route declares."""

    status: int
    body: msgspec.Struct | None = None
    cookies: tuple[SetCookie, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


Handler: TypeAlias = Callable[[Call[Any]], Awaitable[Answer]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """``body`` and ``query`` are the structs that the body and the query string must match. The fields of a query are
    strings, integers and booleans. ``answers`` has one struct (or None) for each status. ``errors`` are the errors that
    the handler itself raises. The HTTP edge adds the errors of policy and parsing to the OpenAPI document."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    place: Place
    path: str
    summary: str
    policy: Policy
    handler: Handler
    body: type[msgspec.Struct]
    query: type[msgspec.Struct]
    answers: Mapping[int, type[msgspec.Struct] | None]
    errors: tuple[type[OstiaryError], ...]

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise TypeError(f"{self.method} {self.path}: the path must start with a slash")
        if (self.csrf is Csrf.SAFE) is not (self.method == "GET"):
            raise TypeError(f"{self.method} {self.path}: use Csrf.SAFE for GET and only for GET")
        if self.method == "GET" and self.body is not Empty:
            raise TypeError(f"GET {self.path}: a GET route must not have a body")
        if not self.answers:
            raise TypeError(f"{self.method} {self.path}: a route must declare its answers")

    @property
    def speaks(self) -> Speaks:
        return self.policy.speaks

    @property
    def credential(self) -> Credential:
        return self.policy.credential

    @property
    def csrf(self) -> Csrf:
        return self.policy.csrf

    @property
    def limit(self) -> Limit:
        return self.policy.limit
