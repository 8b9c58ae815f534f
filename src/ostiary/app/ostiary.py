"""`Ostiary`: the public object."""

import asyncio
import difflib
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from secrets import token_urlsafe
from typing import Any, Final, Self, TypeVar, cast

from starlette.types import ASGIApp

from ostiary._version import __version__
from ostiary.api import Doors, Event
from ostiary.api.door import P
from ostiary.app.assembly import Assembly
from ostiary.app.life import Life
from ostiary.app.loop_thread import LoopThread
from ostiary.app.slices import enabled, read_settings
from ostiary.core.audit import model as audit
from ostiary.core.audit.service import record
from ostiary.core.clock import Clock, SystemClock
from ostiary.core.entropy import Random, SystemRandom
from ostiary.core.issuer import move
from ostiary.core.listeners import Listener, Listeners
from ostiary.core.mail import Transport
from ostiary.core.plug import Actor, Ambient, Profile, Route, Source
from ostiary.core.restoring import Restored, finish_restore
from ostiary.core.settings import ConfigFile, Finding, Loaded, Secret, Section, Settings
from ostiary.core.settings.load import DEFAULT
from ostiary.errors import ConfigurationError
from ostiary.verifier import Headers, Principal, RoleMap
from ostiary.web import Embedded, application, document, with_own

T = TypeVar("T")
L = TypeVar("L", bound=Callable[[Event], Awaitable[None]])


class Ostiary(Doors[P]):
    """A complete installation: an ASGI app of its own, or embedded in yours.

    The constructor reads settings and does nothing else: no connection, no thread, and no file but those that hold
    settings. Everything opens with the app's lifespan, or at the first request, once per process.

    Args:
        database: ``sqlite:///file.db`` or ``postgresql://user@host/name``.
        sections: settings of slices, such as ``SessionSettings(limit=3)``. Only the fields that you pass count; the
            others come from the environment, the file or the default.
        issuer, production, prefix, secret, hot: the top-level settings; see docs/settings.md.
        config: a toml file with settings. By default ``ostiary.toml`` in the current folder, if there is one. None
            reads no file.
        environ: the environment to read ``OSTIARY_…`` from. By default the environment of the process.
        clock, random: where time and randomness come from, for tests.
        mail: how mails are sent, instead of what the setting ``mail.smtp`` says.
        profile: the application's own account fields: a msgspec Struct, a dataclass or a pydantic model. See
            docs/python.md.
        name: what audit events call the application.

    Raises:
        ConfigurationError: the settings do not describe a safe installation.
    """

    def __init__(
        self,
        database: str | None = None,
        *sections: Section,
        issuer: str | None = None,
        production: bool | None = None,
        prefix: str | None = None,
        secret: str | None = None,
        hot: str | None = None,
        config: str | os.PathLike[str] | ConfigFile | None = ConfigFile.IF_PRESENT,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        mail: Transport | None = None,
        profile: type[P] | None = None,
        name: str = "application",
    ) -> None:
        if isinstance(database, Section):
            raise ConfigurationError("the first argument is the database URL: pass None to take it from the settings")
        if not name.isprintable() or not name:
            raise ConfigurationError("name must be a text that can be shown, such as billing")
        top = {
            "database": database,
            "issuer": issuer,
            "production": production,
            "prefix": prefix,
            "secret": secret,
            "hot": hot,
        }
        self._loaded: Loaded = read_settings(
            top, sections, config=config, environ=environ, own_transport=mail is not None
        )
        self._listeners: Final = Listeners()
        self._assembly = Assembly(
            enabled(),
            self._loaded.settings,
            clock=clock or SystemClock(),
            random=random or SystemRandom(),
            transport=mail,
            profile=None if profile is None else Profile(profile),
            listeners=self._listeners,
            ignored=self._loaded.ignored,
            records_issuer=self._loaded.source_of("issuer") != DEFAULT,
        )
        self._life = Life(self._assembly.assemble, self._assembly.housekeeper, drain=self._listeners.close)
        self._thread: Final = LoopThread()
        self._alone: ASGIApp | None = None
        super().__init__(self._life.need_here, Actor.application(name))

    @property
    def settings(self) -> Settings:
        """The settings as they count. ``auth.settings.of(SessionSettings).limit`` reads one of a slice."""
        return self._assembly.settings

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every setting, its value and where it came from."""
        return self._loaded.findings

    # -- the API -------------------------------------------------------------------------------------------------------

    def acting_as(self, caller: Principal | Actor) -> Doors[P]:
        """The same API in somebody else's name: it can do what ``caller`` may do, and no more.

        ``await auth.acting_as(principal).accounts.disable(id)`` raises Forbidden where the caller lacks the permission.
        """
        actor = caller if isinstance(caller, Actor) else Actor.of(caller, source=Source("application"))
        return Doors(self._life.need_here, actor)

    def on(self, event: str) -> Callable[[L], L]:
        """Registers a listener: ``@auth.on("accounts.registered")`` on an async function that takes an `Event`.

        It runs after the commit, in a task of its own, in the process that acted, at most once. A failure is logged and
        affects nobody. To process every event, read ``auth.audit.events``.

        Raises:
            ConfigurationError: there is no such event, or the function is not async.
        """
        known = [type_ for feature in self._assembly.features for type_ in feature.events]
        if event not in known:
            near = difflib.get_close_matches(event, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigurationError(f"there is no event {event!r}{hint}")

        def register(listener: L) -> L:
            is_async = inspect.iscoroutinefunction(listener)  # as a value: it would narrow the type of what is returned
            if not is_async:
                raise ConfigurationError(f"the listener of {event} must be an async function")
            self._listeners.add(event, cast("Listener", listener))
            return listener  # unchanged, so that it can be called in tests

        return register

    # -- as an ASGI app ------------------------------------------------------------------------------------------------

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """``app`` with Ostiary's routes in front: ``app.add_middleware(auth.middleware)``, ``auth.middleware(app)``."""
        return self._around(app, alone=False)

    @property
    def asgi(self) -> ASGIApp:
        """Ostiary alone, as a server. The same object each time."""
        if self._alone is None:
            self._alone = self._around(None, alone=True)
        return self._alone

    def _around(self, app: ASGIApp | None, *, alone: bool) -> ASGIApp:
        served = application(self.routes, settings=self.settings, ambient=self._life.need, alone=alone)
        return Embedded(app or served, served, open=self.open, close=self.close, is_open=self._life.is_open_here)

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every route of the enabled slices, with its policy."""
        return self._assembly.routes

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI 3.1 document of the server, made from the routes."""
        routes = with_own(self.routes, settings=self.settings, alone=True)
        return document(routes, settings=self.settings, version=__version__)

    # -- as an `ostiary.verifier.Authenticator` ------------------------------------------------------------------------

    @property
    def role_map(self) -> RoleMap:
        """role → its permissions. Empty until open."""
        return self._assembly.role_map

    def now(self) -> float:
        """Seconds since the epoch, by the clock that decides about tokens."""
        return self._assembly.verifier.now()

    def authenticate(self, headers: Headers, *, method: str) -> Principal | None:
        """The caller of a request, or None without a credential; see `ostiary.verifier.Authenticator`.

        Raises Unavailable unless Ostiary is open.
        """
        self._life.need()
        return self._assembly.authenticator.authenticate(headers, method=method)

    async def authenticate_async(self, headers: Headers, *, method: str) -> Principal | None:
        """Like `authenticate`."""
        return self.authenticate(headers, method=method)

    # -- lifetime ------------------------------------------------------------------------------------------------------

    @property
    def ambient(self) -> Ambient:
        """For slices and their tests; no part of the public API. Raises Unavailable unless open."""
        return self._life.need()

    async def open(self) -> None:
        """Opens everything, and makes what a new installation needs: secret file, tables, first signing key. It is safe
        when several processes do it at once. Opening is counted: each `open` needs one `close`.

        Raises:
            ConfigurationError: a secret, file, database or migration with which it must not start.
            Unavailable: the database does not answer, or it is open on another event loop that still exists.
        """
        await self._life.open(housekeeping=True)

    async def close(self) -> None:
        """Undoes one `open`. The last one lets what is under way finish, and closes everything."""
        await self._life.close()

    def stop_waiting(self) -> None:
        """Ends all waiting for the change feed (`GET /auth/feed`), now and later. For servers that wait for requests
        to finish before they end the lifespan. Closing does it too."""
        if self._life.ambient is not None:
            self._life.ambient.feed.close()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """``async with auth.opened():`` for scripts. It runs no housekeeping, which is the servers' work."""
        await self._life.open(housekeeping=False)
        try:
            yield self
        finally:
            await self._life.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine of this API from synchronous code: ``account = auth.run(auth.accounts.get(id))``.

        It runs where Ostiary is open, or else on an event loop in a thread of Ostiary's own, where it opens with the
        first call and stays open.

        Raises:
            RuntimeError: called on an event loop, which it would block. Use ``await`` there.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            coroutine.close()
            raise RuntimeError("auth.run() would block this event loop: await the coroutine instead")
        loop = self._life.loop
        if loop is not None and loop.is_running():
            return asyncio.run_coroutine_threadsafe(_after(self._life.until_open, coroutine), loop).result()
        return self._thread.run(_after(self._life.keep_open, coroutine))

    @contextmanager
    def surrounded_by(self, *, database: str, clock: Clock, mail: Transport) -> Iterator[None]:
        """For tests: another database, clock, mail transport and secret until the block ends.

        Raises:
            RuntimeError: while open.
        """
        if self._life.loop is not None:
            raise RuntimeError("Ostiary is open: its surroundings cannot change")
        assembly = self._assembly
        before = assembly.settings, assembly.clock, assembly.transport
        assembly.settings = replace(assembly.settings, database=database, hot=None, secret=Secret(token_urlsafe()))
        assembly.clock, assembly.transport = clock, mail
        try:
            yield
        finally:
            assembly.settings, assembly.clock, assembly.transport = before

    async def migrate(self) -> list[str]:
        """Applies pending migrations and returns their names. Opens and closes the database by itself."""
        return await self._assembly.migrate()

    async def pending(self) -> list[str]:
        """The names of migrations that are not applied yet."""
        return await self._assembly.pending()

    async def finish_restore(self, actor: Actor | None = None) -> Restored:
        """Ends what a restored backup would bring back: every session, access token, pending sign-in, registration link
        and signing key. Call it once after a restore, before anybody is served. While open."""
        return await finish_restore(self.ambient, actor or Actor.application())

    async def move_to_issuer(self, actor: Actor | None = None) -> None:
        """Moves the database to the issuer of the settings, and ends all sessions and access tokens. Call it while no
        server runs. Requires an open installation made with `with_any_issuer`."""
        await move(self.ambient, actor or Actor.application())

    def with_any_issuer(self) -> Self:
        """For commands and scripts that issue no tokens: opens a database of any issuer, and records none."""
        self._assembly.compares_issuer = False
        return self

    async def rewrap(self, actor: Actor | None = None) -> dict[str, int]:
        """Seals with the newest master secret everything that an older one sealed, and returns how many values of each
        slice. Afterwards the older secret is no longer needed. While open.

        Raises:
            ConfigurationError: a value was sealed with a secret that is not configured. What was counted before stays.
        """
        ambient, done = self.ambient, dict[str, int]()
        for name, rewrap in [(feature.name, feature.rewrap) for feature in self._assembly.features if feature.rewrap]:
            done[name] = 0
            while count := await ambient.database.transaction(partial(rewrap, ambient.vault)):
                done[name] += count
        event = audit.Event("keys.rewrapped", detail=done)
        await ambient.database.transaction(lambda tx: record(ambient, tx, actor or Actor.application(), event))
        return done


async def _after(opened: Callable[[], Awaitable[None]], coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine once it is open. If that fails, it is never started."""
    try:
        await opened()
    except BaseException:
        coroutine.close()
        raise
    return await coroutine
