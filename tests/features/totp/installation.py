"""An installation for tests: its HTTP interface, a real database, and a clock that only moves when it is advanced."""

import asyncio
import base64
import hmac
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
from starlette.types import ASGIApp

from ostiary.app import Ostiary
from ostiary.core.plug import Mail
from ostiary.settings import SignInSettings
from ostiary.testing.world import FrozenClock, Outbox
from tests.core.installation import prepare

ISSUER: Final = "https://auth.example.com"
PASSWORD: Final = "seven purple umbrellas sing"
STEP: Final = 30

_addresses = itertools.count(1)


class AuthenticatorApp:
    """An authenticator app (RFC 6238 §4), implemented independently of the code under test."""

    def __init__(self, secret: str, clock: FrozenClock) -> None:
        self._secret = base64.b32decode(secret)
        self._clock = clock

    def code(self, *, steps: int = 0) -> str:
        step = self._clock.now() // 1_000_000 // STEP + steps
        digest = hmac.digest(self._secret, step.to_bytes(8, "big"), "sha1")
        start = digest[-1] & 15
        number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFF_FFFF
        return f"{number % 1_000_000:06}"

    def wrong_code(self, number: int = 0) -> str:
        """A code that is wrong for every step nearby. Each ``number`` has a different one."""
        near = {self.code(steps=steps) for steps in range(-3, 4)}
        wrong = (f"{candidate:06}" for candidate in itertools.count() if f"{candidate:06}" not in near)
        return next(itertools.islice(wrong, number, None))


@dataclass
class Installation:
    auth: Ostiary
    app: ASGIApp
    clock: FrozenClock
    outbox: Outbox

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        source: str | None = None,
    ) -> httpx.Response:
        """Sends one request. Without a ``source`` each request has its own address, so no limit per source applies."""
        number = next(_addresses)
        address = source or f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        sent = {"authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, client=(address, 50_000)), base_url=ISSUER, trust_env=False
        ) as client:
            return await client.request(method, f"/auth{path}", json=body, headers={**sent, **(headers or {})})

    async def rows(self, sql: str, *args: Any) -> list[Sequence[Any]]:
        return list(await self.auth.ambient.database.all(sql, *args))

    async def subjects(self, count: int) -> list[str]:
        """The subjects of all mails except those about devices. Waits until at least ``count`` were sent, because they
        are sent after the answers."""
        for _ in range(200):
            if len(self.mails) >= count:
                break
            await asyncio.sleep(0.01)
        return [mail.subject for mail in self.mails]

    @property
    def mails(self) -> list[Mail]:
        return [mail for mail in self.outbox.mails if not mail.subject.startswith("New device")]

    async def events(self, prefix: str = "totp.") -> list[str]:
        """The types of the audit events, in order of time."""
        types = [row[0] for row in await self.rows("select type from audit_events order by at, type")]
        return [name for name in types if name.startswith(prefix)]


@dataclass
class Person:
    """A person with an account, and the secrets that they received."""

    world: Installation
    email: str
    token: str = ""
    app: AuthenticatorApp | None = None
    recovery_codes: tuple[str, ...] = ()

    async def begin(self) -> httpx.Response:
        """The first step of a sign-in."""
        return await self.world.ask("POST", "/login", {"email": self.email, "password": PASSWORD})

    async def attempt(self) -> str:
        """The token of a sign-in that waits for its second step."""
        answer = await self.begin()
        assert answer.status_code == 202, answer.text
        return str(answer.json()["attempt"])

    async def sign_in(self) -> None:
        answer = await self.begin()
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["access_token"]

    async def finish(self, factor: str, code: Any, *, attempt: str | None = None) -> httpx.Response:
        """The second step of the given attempt, or of a new one."""
        named = await self.attempt() if attempt is None else attempt
        return await self.world.ask("POST", f"/login/{factor}", {"attempt": named, "code": code})

    async def sign_in_with_code(self) -> None:
        """Signs in with both factors and an unused code."""
        assert self.app
        self.world.clock.advance(STEP)
        answer = await self.finish("totp", self.app.code())
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["access_token"]

    async def start(self) -> httpx.Response:
        return await self.world.ask("POST", "/totp", token=self.token)

    async def confirm(self, code: Any) -> httpx.Response:
        return await self.world.ask("POST", "/totp/confirm", {"code": code}, token=self.token)

    async def remove(self) -> httpx.Response:
        return await self.world.ask("DELETE", "/totp", token=self.token)

    async def enrol(self) -> None:
        """Starts and confirms."""
        started = await self.start()
        assert started.status_code == 200, started.text
        self.app = AuthenticatorApp(started.json()["secret"], self.world.clock)
        confirmed = await self.confirm(self.app.code())
        assert confirmed.status_code == 200, confirmed.text
        self.recovery_codes = tuple(confirmed.json()["recovery_codes"])


@asynccontextmanager
async def installation(database_url: str) -> AsyncIterator[Installation]:
    clock, outbox = FrozenClock(), Outbox()
    auth = Ostiary(
        database_url,
        SignInSettings(limit="100000/minute", account_limit="100000/minute"),
        issuer=ISSUER,
        secret="x2Yb7uXG0vq0O1Y5c7bZzq0J6m5wq1n8m3r9t4k2p6s",
        environ={},
        clock=clock,
        mail=outbox,
    )
    await prepare(database_url)
    try:
        yield Installation(auth, auth.asgi, clock, outbox)  # opens with the first request
    finally:
        await auth.close()


async def registered(world: Installation, email: str = "ada@example.com") -> Person:
    """A person who has just signed in with the password and has no second factor."""
    answer = await world.ask("POST", "/register", {"email": email, "password": PASSWORD})
    assert answer.status_code == 202, answer.text
    person = Person(world, email)
    await person.sign_in()
    return person


async def enrolled(world: Installation, email: str = "ada@example.com") -> Person:
    """A person with TOTP, whose session is older than the enrolment."""
    person = await registered(world, email)
    await person.enrol()
    return person
