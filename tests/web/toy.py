"""A small installation to test the web layer: toy routes, a clock that stands still, real keys and a real verifier."""

from dataclasses import fields
from enum import StrEnum
from typing import Annotated, Any, Literal

import httpx
import msgspec

from ostiary.core.plug import (
    Ambient,
    Answer,
    Call,
    Client,
    CookieRole,
    Credential,
    Csrf,
    Empty,
    Page,
    PerSource,
    Place,
    Policy,
    Route,
    SetCookie,
    SignedText,
    Speaks,
    Transport,
    Unlimited,
)
from ostiary.core.settings import Section
from ostiary.errors import (
    ConfigurationError,
    Conflict,
    CrossSiteRequest,
    InvalidCredentials,
    NotFound,
    StoreUnavailable,
)
from ostiary.jose import SigningKey, sign
from ostiary.settings import RegistrationSettings
from ostiary.verifier import AAL1, ACCESS_TOKEN_TYPE, AccessToken, KnownRevocations, Verifier, encode_access_token
from ostiary.web import Application, application
from tests.core.given import given

NOW = 1_700_000_000  # seconds
SECRET = "correct-horse-battery-staple"  # must never be in a response
ISSUER = "https://auth.example.com"
KEY = SigningKey.generate("ES256")
NOTHING = Unlimited(because="a toy")
CLIENT = Client("client_a:b c%", "orders", frozenset({"https://orders.example.com"}))  # needs escaping
CLIENT_SECRET = "s+cret/ü:&="


class Clock:
    def now(self) -> int:
        return NOW * 1_000_000


class Random:
    def token(self, size: int) -> bytes:
        return b"r" * size


class Counters:
    """Counts exactly and never refills. The real ones are tested with the store."""

    def __init__(self) -> None:
        self.taken: dict[str, int] = {}

    async def take(self, key: str, rate: Any, *, now: int) -> int:
        self.taken[key] = self.taken.get(key, 0) + 1
        return 0 if self.taken[key] <= rate.count else 1_500_000


class Rows:
    """A database that can be unreachable, full or of another issuer, or whose clock can be wrong."""

    def __init__(self) -> None:
        self.is_away = False
        self.is_full = False
        self.ahead = 0
        self.issuer = ISSUER

    async def one(self, _sql: str) -> tuple[str]:
        """The issuer, which is all that the edge reads."""
        return (self.issuer,)

    async def check_writes(self) -> None:
        if self.is_full:
            raise StoreUnavailable("no space on 10.0.0.7")

    async def now(self) -> int:
        if self.is_away:
            raise StoreUnavailable("connection refused by 10.0.0.7")
        return Clock().now() + self.ahead


class Directory:
    """Contains one client. The real directory, which reads the database, is tested with its slice."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def authenticate(self, client_id: str, secret: str) -> Client | None:
        self.asked.append((client_id, secret))
        return CLIENT if (client_id, secret) == (CLIENT.id, CLIENT_SECRET) else None

    async def have_resource(self, _reader: object, resource: str) -> bool:
        return resource in CLIENT.resources


class World:
    def __init__(self, *parts: Route | Section, alone: bool = True, **settings: Any) -> None:
        routes = tuple(part for part in parts if isinstance(part, Route))
        sections = [part for part in parts if isinstance(part, Section)]
        self.settings = given(*sections, **{"issuer": ISSUER, **settings})
        self.fresh = True
        self.hot = Counters()
        self.database = Rows()
        self.clients = Directory()
        self.revocations = KnownRevocations(fresh=lambda: self.fresh)
        self.ambient = _ambient(self)
        self.routes = routes or ROUTES
        self.app: Application = application(
            self.routes, settings=self.settings, ambient=lambda: self.ambient, alone=alone
        )

    def client(self, *, address: str = "203.0.113.9", app: Any = None) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app or self.app, client=(address, 4711))
        return httpx.AsyncClient(transport=transport, base_url=ISSUER)


def _ambient(world: World) -> Ambient:
    """The parts that the web layer's routes use. The other parts are None."""
    verifier = Verifier(
        keys=[KEY.public], issuer=ISSUER, audience=ISSUER, revocations=world.revocations, clock=lambda: NOW
    )
    parts: dict[str, Any] = dict.fromkeys(field.name for field in fields(Ambient))
    parts |= {
        "settings": world.settings,
        "clock": Clock(),
        "random": Random(),
        "database": world.database,
        "hot": world.hot,
        "clients": world.clients,
        "verifier": verifier,
        "revocations": world.revocations,
    }
    return Ambient(**parts)


def access_token(**changes: Any) -> str:
    claims: dict[str, Any] = {
        "iss": ISSUER, "sub": "acc_1", "aud": ISSUER, "exp": NOW + 900, "iat": NOW, "jti": "j1",
        "client_id": "client_web", "sid": "ses_1", "ver": 1, "roles": ("user",), "scope": "", "auth_time": NOW,
        "acr": AAL1, "amr": ("pwd",),
    }  # fmt: skip
    return sign(encode_access_token(AccessToken(**{**claims, **changes})), KEY, typ=ACCESS_TOKEN_TYPE)


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: str
    password: Annotated[str, msgspec.Meta(max_length=128)]
    attempts: int = 0
    tags: tuple[str, ...] = ()
    extra: dict[str, str] = {}
    transport: Transport = "token"


class Refresh(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    refresh_token: str | None = None


class DeviceLogin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    device_token: str | None = None
    transport: Transport = "token"


class DeviceRefresh(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    refresh_token: str | None = None
    device_token: str | None = None


class Order(StrEnum):
    ASCENDING = "asc"
    DESCENDING = "desc"


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    after: str
    limit: Annotated[int, msgspec.Meta(ge=-5, le=100)] = 10
    since: int | None = None
    deep: bool = False
    order: Order = Order.ASCENDING
    type: Literal["a", "b"] | None = None


class Ask(msgspec.Struct, frozen=True):
    token: str
    token_type_hint: str | None = None
    size: int = 0


class Seen(msgspec.Struct, frozen=True):
    """What the handler received."""

    subject: str | None
    access_token: str | None
    refresh_token: str | None
    transport: str
    from_own_site: bool
    source: str
    user_agent: str
    request_id: str
    path: dict[str, str]
    query: Any
    client: str | None
    device_token: str | None
    body: Any


class Actors(msgspec.Struct, frozen=True):
    kind: str
    id: str


def seen(call: Call[Any]) -> Seen:
    return Seen(
        subject=call.principal.subject if call.principal else None,
        access_token=call.access_token,
        refresh_token=call.refresh_token,
        transport=call.transport,
        from_own_site=call.from_own_site,
        source=call.source.address,
        user_agent=call.user_agent,
        request_id=call.request_id,
        path=dict(call.path),
        query=call.query,
        client=call.client.id if call.client else None,
        device_token=call.device_token,
        body=call.body,
    )


async def show(call: Call[Any]) -> Answer:
    return Answer(200, seen(call))


async def login(call: Call[Login]) -> Answer:
    if call.body.password != SECRET:
        raise InvalidCredentials("the password is wrong")
    if call.transport == "token":
        return Answer(200, seen(call))
    cookies = (SetCookie(CookieRole.ACCESS, "a.b.c", 900), SetCookie(CookieRole.REFRESH, "ort_1", 86400))
    return Answer(200, seen(call), cookies=cookies)


async def set_cookies_unasked(_call: Call[Any]) -> Answer:
    return Answer(204, cookies=(SetCookie(CookieRole.ACCESS, "a.b.c", 900),))


async def crash(_call: Call[Any]) -> Answer:
    try:
        raise KeyError(SECRET)
    except KeyError as problem:
        raise RuntimeError(f"while handling {SECRET}") from problem


async def lose_the_store(_call: Call[Any]) -> Answer:
    raise StoreUnavailable("disk full", retry_after=3)


async def report_a_configuration_error(_call: Call[Any]) -> Answer:
    raise ConfigurationError(f"the secret {SECRET} is too short")


async def answer_unstated(_call: Call[Any]) -> Answer:
    return Answer(201)


async def document(_call: Call[Any]) -> Answer:
    headers = (("cache-control", "public, max-age=300"), ("access-control-allow-origin", "*"))
    return Answer(200, Empty(), headers=headers)


async def signed(_call: Call[Any]) -> Answer:
    return Answer(200, SignedText("aGVhZA.Ym9keQ.c2ln", "application/statuslist+jwt"))


async def who(call: Call[Any]) -> Answer:
    return Answer(200, Actors(call.actor.kind, call.actor.id))


async def page(_call: Call[Any]) -> Answer:
    return Answer(200, Page(html="<!doctype html><title>é</title>", nonce="cmFuZG9tcmFuZG9tcmFu"))


async def remove(call: Call[Any]) -> Answer:
    if call.path["id"] != "ses_1":
        raise NotFound
    return Answer(204)


_POLICY = {"speaks", "credential", "csrf", "limit"}


def route(method: Any, path: str, handler: Any, **given: Any) -> Route:
    """A route with a minimal policy. Each test sets only what it tests."""
    return Route(
        **{
            "method": method,
            "place": Place.PREFIX,
            "path": path,
            "summary": f"{method} {path}",
            "handler": handler,
            "body": Empty,
            "query": Empty,
            "answers": {200: Seen},
            "errors": (),
            **{name: value for name, value in given.items() if name not in _POLICY},
            "policy": Policy(
                **{
                    "speaks": Speaks.JSON,
                    "credential": Credential.NONE,
                    "csrf": Csrf.SAFE if method == "GET" else Csrf.SAME_ORIGIN,
                    "limit": NOTHING,
                    **{name: value for name, value in given.items() if name in _POLICY},
                }
            ),
        }
    )


ROUTES = (
    route("POST", "/login", login, body=Login, errors=(InvalidCredentials,)),
    route("POST", "/register", show, body=Login, limit=PerSource(RegistrationSettings, "limit")),
    route("POST", "/refresh", show, body=Refresh, credential=Credential.REFRESH),
    route("POST", "/logout", show, body=Refresh, credential=Credential.ANY),
    route("POST", "/totp", show, credential=Credential.ACCESS, errors=(Conflict,)),
    route("GET", "/me", show, credential=Credential.ACCESS),
    route("GET", "/sessions", show, credential=Credential.ACCESS),
    route("DELETE", "/sessions/{id}", remove, credential=Credential.ACCESS, answers={204: None}, errors=(NotFound,)),
    route("PUT", "/roles/{name}", show),
    route("GET", "/open", show),
    route("POST", "/open", show),
    route("POST", "/cookies", set_cookies_unasked, answers={204: None}, errors=(CrossSiteRequest,)),
    route("GET", "/crash", crash),
    route("GET", "/lost", lose_the_store),
    route("GET", "/misconfigured", report_a_configuration_error),
    route("GET", "/unstated", answer_unstated),
    route("GET", "/document", document, answers={200: Empty}),
    route("GET", "/document/mine", document, credential=Credential.ACCESS, answers={200: Empty}),
    route("POST", "/document", document, answers={200: Empty}),
    route("GET", "/list", show, query=Filter),
    route("POST", "/list", show, query=Filter, body=Refresh),
    route("POST", "/device", show, body=DeviceLogin),
    route("POST", "/device/refresh", show, body=DeviceRefresh, credential=Credential.REFRESH),
    route("POST", "/oauth", show, body=Ask, speaks=Speaks.OAUTH, credential=Credential.CLIENT),
    route("GET", "/oauth/feed", show, query=Filter, speaks=Speaks.OAUTH, credential=Credential.CLIENT),
    route("POST", "/oauth/open", show, body=Ask, speaks=Speaks.OAUTH, limit=PerSource(RegistrationSettings, "limit")),
    route("POST", "/oauth/lost", lose_the_store, body=Ask, speaks=Speaks.OAUTH),
    route("POST", "/oauth/crash", crash, body=Ask, speaks=Speaks.OAUTH),
    route("GET", "/who", who, credential=Credential.CLIENT, answers={200: Actors}),
    route("GET", "/signed", signed, answers={200: SignedText}),
    route("GET", "/page", page, answers={200: Page}),
    route("GET", "/.well-known/jwks.json", document, place=Place.ROOT, answers={200: Empty}),
)
