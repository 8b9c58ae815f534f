"""A world for tests: a temporary database, a frozen clock, and an outbox instead of a mail server."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from ostiary.app import Ostiary
from ostiary.core.clock import MICROSECONDS
from ostiary.core.plug import Mail
from ostiary.testing.lifespan import running

PASSWORD: Final = "a door for every porter"  # noqa: S105 — every account in a test world has it
_START: Final = 1_800_000_000 * MICROSECONDS  # a moment in January 2027
_BASE: Final = "http://127.0.0.1:8000"


class FrozenClock:
    """A clock that stands still until you advance it."""

    def __init__(self, now: int = _START) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += int(seconds * MICROSECONDS)


class Outbox:
    """A mail transport that stores the mails in memory, newest last."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def send(self, mail: Mail) -> None:
        self.mails.append(mail)

    def to(self, address: str) -> list[Mail]:
        return [mail for mail in self.mails if mail.to == address]


class World:
    """An isolated environment for a test. ``http`` calls the app without signing in. `login_as` gives a client that is
    signed in."""

    def __init__(self, auth: Ostiary, app: Any, clock: FrozenClock, outbox: Outbox, stack: AsyncExitStack) -> None:
        self.auth = auth
        self.clock = clock
        self.outbox = outbox
        self._app = app
        self._stack = stack
        self._people = 0
        self.http: httpx.AsyncClient = self._client()

    async def login_as(self, *, role: str = "user", email: str | None = None) -> httpx.AsyncClient:
        """A client that is signed in as a new account with ``role``, through the app's own routes."""
        self._people += 1
        email = email or f"person{self._people}@example.com"
        await self.auth.accounts.create(email=email, password=PASSWORD, roles=(role,))
        prefix = self.auth.settings.prefix
        answer = await self.http.post(f"{prefix}/login", json={"email": email, "password": PASSWORD})
        answer.raise_for_status()
        client = self._client()
        client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        return client

    def _client(self) -> httpx.AsyncClient:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=self._app), base_url=_BASE)
        self._stack.push_async_callback(client.aclose)
        return client


@asynccontextmanager
async def world(auth: Ostiary, app: Any = None, *, database: str | None = None) -> AsyncIterator[World]:
    """Runs ``auth``, and the app it is embedded in, in an isolated world until the block ends.

    Args:
        app: the ASGI app to call. The default is Ostiary's own.
        database: the URL of an empty database. The default is an SQLite file that is deleted with the world.

    The app's own lifespan runs as well.

    Raises:
        RuntimeError: ``auth`` is already open.
    """
    clock, outbox = FrozenClock(), Outbox()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ostiary-world-")))
        url = database or f"sqlite:///{folder / 'world.db'}"
        stack.enter_context(auth.surrounded_by(database=url, clock=clock, mail=outbox))
        await auth.migrate()
        await stack.enter_async_context(auth.opened())
        yield World(auth, await stack.enter_async_context(running(app or auth.asgi)), clock, outbox, stack)
