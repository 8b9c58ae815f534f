"""A `Route`: a path with its whole policy. Nothing has a default, so forgetting fails when the module is imported."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import msgspec

from ostiary.core.plug.actor import Actor, ActorKind, Source
from ostiary.core.plug.ambient import Ambient
from ostiary.core.plug.clients import Client
from ostiary.errors import InvalidClient, MissingCredential, OstiaryError
from ostiary.verifier import Principal

B = TypeVar("B", bound=msgspec.Struct)


class Credential(Enum):
    """What a route reads. Others that come along are ignored; two for the same role are 400."""

    NONE = "none"
    ACCESS = "access"
    """An access token that verifies, from the header or the cookie. Without one: 401."""
    REFRESH = "refresh"
    """A refresh token, from the body's field or the cookie. Without one: 400."""
    ANY = "any"
    """Access and refresh token as they come, not verified: for ending what they stand for."""
    CLIENT = "client"
    """The id and secret of a service, from the Authorization header (Basic) or the body's ``client_id`` and
    ``client_secret`` (RFC 6749 §2.3.1). Without them, or with wrong ones: 401."""


class Speaks(Enum):
    """How a route takes its body and tells its refusals."""

    JSON = "json"
    """JSON to the letter; problem details (RFC 9457)."""
    OAUTH = "oauth"
    """A form, or JSON; parameters that it does not know are ignored (RFC 6749 §3.2). The OAuth error object (§5.2)."""


class Csrf(Enum):
    SAFE = "safe"
    """The route changes nothing (RFC 9110 §9.2.1)."""
    SAME_ORIGIN = "same-origin"
    """A request that carries our cookies or asks for them must come from our origin or a trusted one."""


class Place(Enum):
    PREFIX = "prefix"
    """Under the configured prefix, ``/auth``."""
    ROOT = "root"
    """At the root of the host: ``/healthz``, ``/.well-known/…``."""


@dataclass(frozen=True, slots=True)
class PerSource:
    """So many requests from one source, by the setting ``limit_<name>``; 429 beyond."""

    name: str


@dataclass(frozen=True, slots=True)
class InChecks:
    """The verb counts by itself, in `Check`s or for the account: who is meant, or the outcome, matters."""


@dataclass(frozen=True, slots=True)
class Unlimited:
    """Deliberately not counted."""

    because: str


Limit: TypeAlias = PerSource | InChecks | Unlimited

Transport: TypeAlias = Literal["token", "cookie"]
"""How tokens travel back: in the body, or in cookies that scripts cannot read."""


class Empty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A route that takes no body (or an empty object), or whose query string is never looked at."""


class Page(msgspec.Struct, frozen=True):
    """An HTML document. Its scripts carry ``nonce``, which becomes part of the Content-Security-Policy."""

    html: str
    nonce: str


class SignedText(msgspec.Struct, frozen=True):
    """A text that proves by itself who wrote it: a JWS in compact form, of the media type ``application/…``."""

    text: str
    media_type: str


class CookieRole(StrEnum):
    ACCESS = "access"
    REFRESH = "refresh"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class SetCookie:
    """A cookie to set, or to clear with ``max_age=0``. The HTTP edge derives name and attributes from the role."""

    role: CookieRole
    value: str
    max_age: int


@dataclass(frozen=True, slots=True)
class Call(Generic[B]):
    """One request, parsed once. ``transport`` is how the caller wants tokens, or how they came; ``from_own_site`` says
    whether Fetch Metadata or Origin show our own or a trusted origin: only then may an answer set cookies."""

    ambient: Ambient
    body: B
    query: Any
    """The route's ``query`` struct."""
    path: Mapping[str, str]
    principal: Principal | None
    client: Client | None
    """Which service calls, on a route with `Credential.CLIENT`."""
    access_token: str | None
    refresh_token: str | None
    device_token: str | None
    """As it came, on a route whose body has the field ``device_token``: from the field, or with cookie transport from
    the cookie."""
    transport: Transport
    from_own_site: bool
    source: Source
    user_agent: str
    request_id: str
    gone: Callable[[], Awaitable[None]]
    """Returns when the caller has hung up: for handlers that wait."""
    if_none_match: str | None
    """What the caller has already (RFC 9110 §13.1.2), as it came; None on routes that change something."""

    @property
    def me(self) -> Principal:
        """Who calls, on a route with `Credential.ACCESS`."""
        if self.principal is None:
            raise MissingCredential
        return self.principal

    @property
    def service(self) -> Client:
        """Which service calls, on a route with `Credential.CLIENT`."""
        if self.client is None:
            raise InvalidClient
        return self.client

    @property
    def actor(self) -> Actor:
        kind, identifier = ActorKind.ANONYMOUS, ""
        if self.principal is not None:
            kind, identifier = ActorKind.ACCOUNT, self.principal.account_id
        elif self.client is not None:
            kind, identifier = ActorKind.CLIENT, self.client.id
        return Actor(kind, identifier, self.source, self.user_agent, self.request_id)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler returns: one of the statuses and bodies that its route states."""

    status: int
    body: msgspec.Struct | None = None
    cookies: tuple[SetCookie, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


Handler: TypeAlias = Callable[[Call[Any]], Awaitable[Answer]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """``body`` and ``query`` are the structs that body and query string must fit; a query's fields are texts, whole
    numbers and truth values. ``answers`` has one struct (or None) for each status; ``errors`` are those the handler
    raises itself: what policy and parsing can refuse is added to the document by the edge."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    place: Place
    path: str
    summary: str
    handler: Handler
    body: type[msgspec.Struct]
    query: type[msgspec.Struct]
    speaks: Speaks
    credential: Credential
    csrf: Csrf
    limit: Limit
    answers: Mapping[int, type[msgspec.Struct] | None]
    errors: tuple[type[OstiaryError], ...]

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise TypeError(f"{self.method} {self.path}: a path starts with a slash")
        if (self.csrf is Csrf.SAFE) is not (self.method == "GET"):
            raise TypeError(f"{self.method} {self.path}: GET, and only GET, changes nothing")
        if self.method == "GET" and self.body is not Empty:
            raise TypeError(f"GET {self.path}: a GET takes no body")
        if not self.answers:
            raise TypeError(f"{self.method} {self.path}: a route states its answers")
