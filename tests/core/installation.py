"""An installation for tests: its HTTP interface, a real database, a frozen clock and an outbox."""

import asyncio
import functools
import itertools
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import argon2
import asyncpg
import httpx
import jwt
from starlette.types import ASGIApp

from ostiary.app import Ostiary
from ostiary.core.accounts import queries as accounts
from ostiary.core.accounts.email import parse_email
from ostiary.core.accounts.model import USER, Account
from ostiary.core.entropy import identifier
from ostiary.core.housekeeping import Housekeeper
from ostiary.core.plug import Actor, Ambient, Mail, Source
from ostiary.core.plug.actor import ActorKind
from ostiary.core.revocations import Revoking, transact
from ostiary.core.sessions.model import SessionOptions
from ostiary.core.sessions.service import make_room, start
from ostiary.core.settings import Section
from ostiary.core.tokens.issuing import first_grant, sign_access_token
from ostiary.settings import Rate, SessionSettings, SignInSettings
from ostiary.store.database import Transaction
from ostiary.store.open import sqlite_path
from ostiary.testing.world import FrozenClock, Outbox
from tests.core.watching import Seen, WatchedDatabase

ISSUER: Final = "https://auth.example.com"
PASSWORD: Final = "seven purple umbrellas sing"
SECRET: Final = "x2Yb7uXG0vq0O1Y5c7bZzq0J6m5wq1n8m3r9t4k2p6s"
EMAIL: Final = "ada@example.com"

SAME_ORIGIN: Final = {"sec-fetch-site": "same-origin"}

EVENT: Final = (
    "id", "at", "type", "outcome", "account_id", "session_id",
    "actor_kind", "actor_id", "source", "user_agent", "request_id", "detail",
)  # fmt: skip

_MARKER: Final = "marker@localhost"

_numbers = itertools.count(1)


Headers: TypeAlias = dict[str, Any] | Sequence[tuple[str, Any]]


class Tokens(NamedTuple):
    access: str
    refresh: str
    session_id: str

    @property
    def claims(self) -> dict[str, Any]:
        """The claims of the access token, unverified."""
        return claims_of(self.access)


class Person(NamedTuple):
    id: str
    email: str


@dataclass
class Installation:
    auth: Ostiary
    app: ASGIApp
    clock: FrozenClock
    outbox: Outbox

    @property
    def ambient(self) -> Ambient:
        return self.auth.ambient

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        source: str | None = None,
        headers: Headers = (),
    ) -> httpx.Response:
        """One request. Without ``source`` it comes from a new address, so that no rate limit applies."""
        sent = [*(headers.items() if isinstance(headers, dict) else headers)]
        if token:
            sent.append(("authorization", f"Bearer {token}"))
        client = (source or new_address(), 50_000)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, client=client), base_url=ISSUER, trust_env=False
        ) as http:
            return await http.request(method, path, json=body, headers=sent)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return await self.ask("POST", f"/auth{path}", body, **options)

    async def send_form(self, path: str, form: str) -> httpx.Response:
        """Like OAuth clients, with the exact text of the form."""
        client = (new_address(), 50_000)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, client=client), base_url=ISSUER, trust_env=False
        ) as http:
            headers = {"content-type": "application/x-www-form-urlencoded"}
            return await http.post(f"/auth{path}", content=form, headers=headers)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.ask("GET", f"/auth{path}", **options)

    async def register(self, email: str = EMAIL, password: str = PASSWORD, **options: Any) -> httpx.Response:
        return await self.post("/register", {"email": email, "password": password}, **options)

    async def login(self, email: str = EMAIL, password: str = PASSWORD, **options: Any) -> httpx.Response:
        """``options``: further fields of the body, or options of `ask`."""
        asking = {name: options.pop(name) for name in ("source", "headers", "token") if name in options}
        return await self.post("/login", {"email": email, "password": password, **options}, **asking)

    async def refresh(self, refresh_token: str, **options: Any) -> httpx.Response:
        return await self.post("/refresh", {"refresh_token": refresh_token}, **options)

    async def is_let_in(self, access_token: str) -> bool:
        answer = await self.get("/me", token=access_token)
        assert answer.status_code in {200, 401}, answer.text
        return answer.status_code == 200

    async def person(self, email: str = EMAIL, *roles: str) -> Person:
        """A user with an account and `PASSWORD`, without the cost of hashing it."""
        address = parse_email(email)
        account = Account(
            id=identifier("acc", self.ambient.random),
            email=address.address,
            password_hash=password_hash(),
            epoch=1,
            disabled_at=None,
            verified_at=self.ambient.now(),
            created_at=self.ambient.now(),
        )

        async def body(tx: Transaction) -> None:
            assert await accounts.insert(tx, account, address.key)
            for role in {USER, *roles}:
                await accounts.add_role(tx, account.id, role)

        await self.ambient.database.transaction(body)
        return Person(account.id, account.email)

    async def session(self, person: Person, wanted: SessionOptions = SessionOptions()) -> Tokens:
        """The tokens of a sign-in, without its cost."""
        ambient = self.ambient

        async def body(tx: Transaction) -> Revoking[Any]:
            ended = await make_room(ambient, tx, Actor.system(), person.id)
            assert ended is not None
            session = await start(ambient, tx, Actor.system(), account_id=person.id, amr=("pwd",), wanted=wanted)
            return Revoking(await first_grant(ambient, tx, session), ended)

        granted = await transact(ambient, body)
        return Tokens(sign_access_token(ambient, granted)[0], granted.refresh_token, granted.session.id)

    async def rows(self, sql: str, *args: Any) -> list[Sequence[Any]]:
        return list(await self.ambient.database.all(sql, *args))

    async def events(self, type_: str | None = None) -> list[dict[str, Any]]:
        """Audit events, all or of one type, except those of the signing keys, in no particular order."""
        columns = ", ".join(EVENT)
        found = [dict(zip(EVENT, row, strict=True)) for row in await self.rows(f"select {columns} from audit_events")]
        return [event for event in found if type_ in {None, event["type"]} and not event["type"].startswith("keys.")]

    async def mails(self) -> list[Mail]:
        """Every mail so far. Mails are sent in the order in which they are posted, so when the marker has arrived, all
        earlier mails have arrived too."""
        marker = Mail(_MARKER, str(next(_numbers)), "")
        self.ambient.mail.post(marker)
        async with asyncio.timeout(10):
            while marker not in self.outbox.mails:  # noqa: ASYNC110 — an outbox has no event
                await asyncio.sleep(0.002)
        return [mail for mail in self.outbox.mails if mail.to != _MARKER]

    async def tidy(self) -> None:
        """Runs all housekeeping, as if no process had run it recently."""
        housekeeper = Housekeeper(self.ambient, self.auth._assembly.features)
        while not await housekeeper.tidy():
            await self.ambient.database.execute("delete from store_lease")

    def watch(self, seen: Seen) -> None:
        """Passes every statement from now on to ``seen`` before it runs. If ``seen`` raises, the statement raises."""
        watched = WatchedDatabase(self.ambient.database, seen)
        hot = type(self.ambient.hot)(watched)  # type: ignore[call-arg]
        self.auth._life.ambient = replace(self.ambient, database=watched, hot=hot)  # type: ignore[arg-type]


def by(person: Person) -> Actor:
    """The person as the actor of an HTTP request."""
    return Actor(ActorKind.ACCOUNT, person.id, Source("192.0.2.7"), "a browser", "request-1")


def ostiary(
    database_url: str,
    clock: FrozenClock | None = None,
    outbox: Outbox | None = None,
    *sections: Section,
    **top: Any,
) -> Ostiary:
    """An installation with generous limits, unless a test passes its own."""
    usual: dict[type[Section], Section] = {
        SignInSettings: SignInSettings(limit=Rate(100_000, 60), account_limit=Rate(100_000, 60)),
        SessionSettings: SessionSettings(limit=1000),
    }
    for section in sections:
        former = usual.get(type(section), type(section)())
        usual[type(section)] = type(section)(**{**dict(former.given()), **dict(section.given())})
    given = {"issuer": ISSUER, "secret": SECRET, "environ": {}, "config": None, **top}
    return Ostiary(database_url, *usual.values(), clock=clock or FrozenClock(), mail=outbox or Outbox(), **given)


@asynccontextmanager
async def installation(database_url: str, *sections: Section, **top: Any) -> AsyncIterator[Installation]:
    clock, outbox = FrozenClock(), Outbox()
    await prepare(database_url)
    async with opened(ostiary(database_url, clock, outbox, *sections, **top), clock, outbox) as house:
        yield house


@asynccontextmanager
async def opened(auth: Ostiary, clock: FrozenClock, outbox: Outbox) -> AsyncIterator[Installation]:
    async with auth.opened():
        yield Installation(auth, auth.asgi, clock, outbox)


async def prepare(database_url: str) -> None:
    """Creates or empties the tables. An SQLite file is copied from a prepared one, which is faster."""
    auth = ostiary(database_url)
    slices = tuple(feature.name for feature in auth._assembly.features)  # a test may have plugged in others
    path = sqlite_path(database_url)
    if path is not None:
        path.write_bytes(await _prepared_file(slices))
        return
    if (database_url, slices) not in _migrated:
        await auth.migrate()
        _migrated.add((database_url, slices))
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f"{_EMPTY}; {_AS_MADE}")
    finally:
        await connection.close()


_migrated: set[tuple[str, tuple[str, ...]]] = set()
# the other rows are deleted with the accounts
_EMPTY: Final = "; ".join(
    f"delete from {table}"
    for table in (
        "accounts",
        "registrations",
        "clients",
        "audit_events",
        "signing_keys",
        "hot_rate",
        "hot_reservation",
        "feed",
        "status_slots",
        "status_lists",
    )
)
_AS_MADE: Final = (
    "update realm set least = 0, issuer = null; update refresh_format set upgraded = 0;"
    " insert into status_lists (number, created_at) values (1, 0)"
)
_prepared: dict[tuple[str, ...], bytes] = {}


async def _prepared_file(slices: tuple[str, ...]) -> bytes:
    if slices not in _prepared:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "prepared.db"
            async with ostiary(f"sqlite:///{path}").with_any_issuer().opened():
                pass
            _prepared[slices] = path.read_bytes()
    return _prepared[slices]


def password_hash() -> str:
    return _password_hash(argon2.PasswordHasher)


@functools.cache
def _password_hash(hasher: type[argon2.PasswordHasher]) -> str:
    return hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16).hash(PASSWORD)


def new_address() -> str:
    number = next(_numbers)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def tokens_of(answer: httpx.Response) -> Tokens:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return Tokens(body["access_token"], body["refresh_token"], body["session_id"])


async def eventually(ask: Callable[[], Awaitable[httpx.Response]], status: int) -> httpx.Response:
    """Repeats the request until the response has that status."""
    async with asyncio.timeout(20):
        while (answer := await ask()).status_code != status:  # noqa: ASYNC110 — it happens in another process
            await asyncio.sleep(0.02)
    return answer


def claims_of(access_token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(access_token, options={"verify_signature": False})
    return claims


def told(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """Everything that a caller can see of a response, except the request id."""
    return answer.status_code, answer.content, {k: v for k, v in answer.headers.items() if k != "x-request-id"}
