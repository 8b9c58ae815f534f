"""`Ostiary`: the only place that assembles. Everything else is handed what it needs."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from secrets import token_urlsafe
from typing import Any, Final, TypeVar

from starlette.types import ASGIApp

from ostiary._version import __version__
from ostiary.core.accounts import feature as accounts
from ostiary.core.accounts.queries import role_map
from ostiary.core.audit import feature as audit
from ostiary.core.audit.model import Event
from ostiary.core.audit.service import record
from ostiary.core.clients import feature as clients
from ostiary.core.clients.service import StoredClients
from ostiary.core.clock import MICROSECONDS, Clock, SystemClock
from ostiary.core.devices import feature as devices
from ostiary.core.entropy import Random, SystemRandom
from ostiary.core.hashing import Hashing
from ostiary.core.housekeeping import Housekeeper
from ostiary.core.mail import MailQueue, Transport, transport_from
from ostiary.core.plug import Actor, Ambient, Feature, Place, Route
from ostiary.core.revocations import apply
from ostiary.core.secret import load_secrets
from ostiary.core.sessions import feature as sessions
from ostiary.core.settings import Origin, Secret, Settings, load
from ostiary.core.sign_in import feature as sign_in
from ostiary.core.sign_in.routes import route_for
from ostiary.core.tokens import feature as tokens
from ostiary.core.tokens.keys.held import SigningKeys
from ostiary.core.tokens.keys.keeper import KeyKeeper
from ostiary.core.tokens.keys.model import Timing
from ostiary.core.tokens.status.published import PublishedLists
from ostiary.core.vault import Vault
from ostiary.errors import ConfigurationError, Unavailable
from ostiary.features.feed import feature as feed
from ostiary.features.introspection import feature as introspection
from ostiary.features.revocation import feature as revocation
from ostiary.features.totp import feature as totp
from ostiary.jose import KeySet
from ostiary.store.database import Database
from ostiary.store.feed import Entry, Follower, Progress
from ostiary.store.hot import Hot
from ostiary.store.migrations import migrate, pending
from ostiary.store.open import database_from_url, hot_from_url, sqlite_path
from ostiary.store.sql_hot import SqlHot
from ostiary.verifier import Headers, KnownRevocations, Principal, RoleMap, TokenAuthenticator, Verifier
from ostiary.web import Embedded, application, document, with_own

CORE: Final = (audit, accounts, clients, devices, sessions, tokens, sign_in)
"""In the order of their migrations."""

FEATURES: Final[tuple[Feature, ...]] = (feed, introspection, revocation, totp)
"""The optional slices: one import above and one line here. Without them the rest assembles and does the main job."""


class Ostiary:
    """A complete installation: an ASGI app of its own, or embedded in yours.

    The constructor reads settings and does nothing else: no file, no connection, no thread. Everything opens with the
    app's lifespan (or at the first request), once for each process.

    Args:
        database: ``sqlite:///file.db`` or ``postgresql://user@host/name``.
        config: a toml file with settings.
        environ: the environment to read ``OSTIARY_…`` from; the process's own by default.
        mail: how mails leave, instead of what the setting ``smtp`` says.
        settings: any field of `Settings` by name, before environment, file and default.

    Raises:
        ConfigurationError: the settings make no safe installation.
    """

    def __init__(
        self,
        database: str | None = None,
        *,
        config: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        mail: Transport | None = None,
        **settings: Any,
    ) -> None:
        given = {"database": database, **settings}
        loaded = load(given, environ=os.environ if environ is None else environ, toml=config)
        self.settings: Settings = loaded[0]
        self.origins: tuple[Origin, ...] = loaded[1]
        self._clock = clock or SystemClock()
        self._random = random or SystemRandom()
        self._transport = mail or transport_from(self.settings)
        self._features = (*CORE, *FEATURES)
        self._factors = tuple(factor for feature in self._features for factor in feature.factors)
        self._checks = tuple(check for feature in self._features for check in feature.checks)
        self._migrations = tuple(feature.migrations for feature in self._features if feature.migrations is not None)
        self._follower: Follower | None = None
        self._role_map: dict[str, frozenset[str]] = {}
        self._revocations = KnownRevocations(
            fresh=self._feed_is_fresh, when_stale="serve" if self.settings.feed_policy == "serve" else "refuse"
        )
        self._verifier = self._new_verifier()
        self._authenticator = TokenAuthenticator(
            self._verifier,
            own_origins=(self.settings.issuer_origin,),
            trusted_origins=self.settings.trusted_origins,
            role_map=self._role_map,
        )
        self._ambient: Ambient | None = None
        self._opening: asyncio.Task[AsyncExitStack] | None = None
        self._alone: ASGIApp | None = None

    # -- as an ASGI app ------------------------------------------------------------------------------------------------

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """``app`` with Ostiary's routes in front: ``app.add_middleware(auth.middleware)``, ``auth.middleware(app)``."""
        return self._around(app, alone=False)

    @property
    def asgi(self) -> ASGIApp:
        """Ostiary alone, as a server. The same object each time, until it is closed."""
        if self._alone is None:
            self._alone = self._around(None, alone=True)
        return self._alone

    def _around(self, app: ASGIApp | None, *, alone: bool) -> ASGIApp:
        served = application(self.routes, settings=self.settings, ambient=self._need_ambient, alone=alone)
        return Embedded(app or served, served, open=self.open, close=self.close)

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every route of the enabled slices, with its policy."""
        stated = tuple(route for feature in self._features for route in feature.routes)
        return (*stated, *(route_for(factor) for factor in self._factors))

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI 3.1 document of the server, made from the routes."""
        routes = with_own(self.routes, settings=self.settings, alone=True)
        return document(routes, settings=self.settings, version=__version__)

    # -- as an `ostiary.verifier.Authenticator` ------------------------------------------------------------------------

    @property
    def role_map(self) -> RoleMap:
        """role → its permissions. Empty until open."""
        return self._role_map

    def now(self) -> float:
        """Seconds since the epoch, by the clock that decides about tokens."""
        return self._verifier.now()

    def authenticate(self, headers: Headers, *, method: str) -> Principal | None:
        """The caller of a request, or None without a credential; see `ostiary.verifier.Authenticator`.

        Raises Unavailable as long as Ostiary is not open.
        """
        self._need_ambient()
        return self._authenticator.authenticate(headers, method=method)

    async def authenticate_async(self, headers: Headers, *, method: str) -> Principal | None:
        """As `authenticate`."""
        return self.authenticate(headers, method=method)

    # -- its life ------------------------------------------------------------------------------------------------------

    @property
    def ambient(self) -> Ambient:
        """What the verbs of core and features take. Raises Unavailable unless open."""
        return self._need_ambient()

    async def open(self) -> None:
        """Opens everything, and makes what a new installation needs: secret file, tables, first signing key. Safe when
        several processes do it at once. Does nothing where it is open already.

        Raises:
            ConfigurationError: a secret, file, database or migration with which it must not start.
            StoreUnavailable: the database does not answer.
        """
        if self._opening is None:
            self._opening = asyncio.create_task(self._open_all(), name="ostiary-opening")
        opening = self._opening
        try:
            await asyncio.shield(opening)  # others may wait for it too
        finally:
            if opening is self._opening and _has_failed(opening):
                self._opening = None

    def stop_waiting(self) -> None:
        """Answers now whoever waits for something to happen (`GET /auth/feed`), and lets nobody wait any longer. For
        servers that wait for requests before they end the lifespan; closing does it too."""
        if self._ambient is not None:
            self._ambient.feed.close()

    async def close(self) -> None:
        """Lets what is under way finish, and closes everything, for all who have opened it."""
        opening, self._opening = self._opening, None
        self._alone = None  # it may believe that it is open still
        if opening is not None and not _has_failed(opening):
            await (await opening).aclose()

    async def _open_all(self) -> AsyncExitStack:
        async with AsyncExitStack() as stack:
            self._ambient = await self._assemble(stack)
            stack.callback(self._forget_ambient)
            return stack.pop_all()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Ambient]:
        """``async with auth.opened() as ambient:`` — for scripts. What it found open stays open."""
        was_open = self._opening is not None
        await self.open()
        try:
            yield self._need_ambient()
        finally:
            if not was_open:
                await self.close()

    @contextmanager
    def surrounded_by(self, *, database: str, clock: Clock, mail: Transport) -> Iterator[None]:
        """Another database, clock and mail, counters and secret that nobody else has, until the block ends: for tests.

        Raises:
            RuntimeError: while open.
        """
        if self._opening is not None:
            raise RuntimeError("Ostiary is open: its surroundings cannot change")
        before = self.settings, self._clock, self._transport
        self.settings = replace(self.settings, database=database, hot=None, secret=Secret(token_urlsafe()))
        self._clock, self._transport = clock, mail
        try:
            yield
        finally:
            self.settings, self._clock, self._transport = before

    async def migrate(self) -> list[str]:
        """Applies what is pending and returns its names. Opens and closes the database by itself."""
        if (path := sqlite_path(self.settings.database)) is not None:
            # the secret comes before the database: one that is there without its secret is refused as a damaged copy
            load_secrets(self.settings.secret, database_path=path)
        async with _running(database_from_url(self.settings.database)) as database:
            return [str(migration) for migration in await migrate(database, self._migrations)]

    async def pending(self) -> list[str]:
        """The names of migrations that are not applied yet."""
        async with _running(database_from_url(self.settings.database)) as database:
            return [str(migration) for migration in await pending(database, self._migrations)]

    async def rewrap(self, actor: Actor) -> dict[str, int]:
        """Seals with the newest master secret whatever an older one has sealed, and returns how many values of which
        slice. Afterwards the older secret is needed no more. While open.

        Raises:
            ConfigurationError: a value was sealed with a secret that is not configured. What was counted before stays.
        """
        ambient, done = self._need_ambient(), dict[str, int]()
        for name, rewrap in [(feature.name, feature.rewrap) for feature in self._features if feature.rewrap]:
            done[name] = 0
            while count := await ambient.database.transaction(partial(rewrap, ambient.vault)):
                done[name] += count
        event = Event("keys.rewrapped", detail=done)
        await ambient.database.transaction(lambda tx: record(ambient, tx, actor, event))
        return done

    async def _assemble(self, stack: AsyncExitStack) -> Ambient:
        ambient = await self._gather(stack)
        keeper = KeyKeeper(ambient)
        stack.push_async_callback(keeper.close)
        await keeper.open()
        await self._follow(ambient, keeper, stack)
        housekeeper = Housekeeper(ambient, self._features)
        stack.push_async_callback(housekeeper.close)
        housekeeper.open()
        stack.callback(ambient.feed.close)  # first of all: whoever waits is answered
        return ambient

    async def _gather(self, stack: AsyncExitStack) -> Ambient:
        """All that verbs need, opened; nothing runs by itself yet."""
        settings = self.settings
        named = database_from_url(settings.database)  # first: a mistyped URL would seem to lack a secret
        secrets = load_secrets(settings.secret, database_path=sqlite_path(settings.database))
        vault = Vault(secrets, random=self._random)
        database = await stack.enter_async_context(_running(named))
        await self._bring_up_to_date(database)
        hot = await stack.enter_async_context(_running(_hot(settings.hot, database)))
        self._role_map.clear()
        self._role_map.update(await role_map(database))
        hashing = Hashing(settings, random=self._random)
        stack.callback(hashing.close)
        mail = MailQueue(self._transport)
        mail.open()
        stack.push_async_callback(mail.close)
        keys = SigningKeys(database, vault, self._verifier, clock=self._clock, timing=Timing.of(settings))
        progress = Progress()
        return Ambient(
            settings=settings,
            clock=self._clock,
            random=self._random,
            database=database,
            hot=hot,
            vault=vault,
            hashing=hashing,
            mail=mail,
            keys=keys,
            clients=StoredClients(database),
            verifier=self._verifier,
            revocations=self._revocations,
            feed=progress,
            status_lists=PublishedLists(database, progress, keys=keys, settings=settings, clock=self._clock),
            served=frozenset(route.path for route in self.routes if route.place is Place.PREFIX),
            factors=self._factors,
            checks=self._checks,
            endings=tuple(feature.ending for feature in self._features if feature.ending is not None),
        )

    async def _bring_up_to_date(self, database: Database) -> None:
        if sqlite_path(self.settings.database) is not None:
            await migrate(database, self._migrations)
        elif waiting := await pending(database, self._migrations):
            raise ConfigurationError(f"the database is not migrated ({len(waiting)} pending): run ostiary migrate")

    async def _follow(self, ambient: Ambient, keeper: KeyKeeper, stack: AsyncExitStack) -> None:
        def learn(entries: Sequence[Entry]) -> None:
            apply(self._revocations, entries)
            keeper.learn(entries)

        follower = Follower(ambient.database, learn, progress=ambient.feed)
        await follower.catch_up()
        self._follower = follower
        stack.push_async_callback(follower.end, asyncio.create_task(follower.run(), name="ostiary-feed"))

    def _new_verifier(self) -> Verifier:
        return Verifier(
            keys=KeySet(),
            issuer=self.settings.issuer,
            audience=self.settings.issuer,
            revocations=self._revocations,
            clock=lambda: self._clock.now() / MICROSECONDS,
        )

    def _feed_is_fresh(self) -> bool:
        return self._follower is not None and self._follower.age() <= self.settings.feed_staleness

    def _need_ambient(self) -> Ambient:
        if self._ambient is None:
            raise Unavailable("not open")
        return self._ambient

    def _forget_ambient(self) -> None:
        self._ambient = None


def _hot(url: str | None, database: Database) -> Hot:
    return SqlHot(database) if url is None else hot_from_url(url)


T = TypeVar("T", Database, Hot)


@asynccontextmanager
async def _running(part: T) -> AsyncIterator[T]:
    await part.open()
    try:
        yield part
    finally:
        await part.close()


def _has_failed(task: "asyncio.Task[AsyncExitStack]") -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
