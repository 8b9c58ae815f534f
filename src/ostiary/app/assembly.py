"""Puts the parts together, in the order in which they open. Knows no event loop and no ASGI."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import chain
from typing import Any, Final, TypeVar

from ostiary.core.accounts.queries import role_map
from ostiary.core.clients.service import StoredClients
from ostiary.core.clock import MICROSECONDS, Clock
from ostiary.core.entropy import Random
from ostiary.core.hashing import Hashing, HashingSettings
from ostiary.core.housekeeping import Housekeeper
from ostiary.core.issuer import claim, refuse_another
from ostiary.core.listeners import Listeners, listened
from ostiary.core.mail import MailQueue, MailSettings, Transport, transport_from
from ostiary.core.plug import Ambient, Feature, Place, Profile, Route
from ostiary.core.revocations import SERVE, RevocationSettings, apply
from ostiary.core.secret import load_secrets
from ostiary.core.settings import Settings
from ostiary.core.sign_in.routes import route_for
from ostiary.core.tokens.former import issued_until
from ostiary.core.tokens.keys.held import SigningKeys
from ostiary.core.tokens.keys.keeper import KeyKeeper
from ostiary.core.tokens.keys.model import Timing
from ostiary.core.tokens.status.published import PublishedLists
from ostiary.core.vault import Vault
from ostiary.errors import ConfigurationError
from ostiary.jose import KeySet
from ostiary.store.database import Database
from ostiary.store.feed import Entry, Follower, Progress
from ostiary.store.hot import Hot
from ostiary.store.migrations import migrate, pending
from ostiary.store.open import database_from_url, hot_from_url, sqlite_path
from ostiary.store.sql_hot import SqlHot
from ostiary.verifier import KnownRevocations, TokenAuthenticator, Verifier
from ostiary.web import WebSettings

_LOG: Final = logging.getLogger("ostiary.app")

T = TypeVar("T", Database, Hot)


class Assembly:
    """What an installation is made of. The constructor does no I/O; `assemble` opens everything."""

    def __init__(
        self,
        features: tuple[Feature, ...],
        settings: Settings,
        *,
        clock: Clock,
        random: Random,
        transport: Transport | None,
        profile: Profile[Any] | None,
        listeners: Listeners,
        ignored: Sequence[str] = (),
        records_issuer: bool = True,
    ) -> None:
        """``records_issuer``: whether the first opening records the issuer as that of the database. A script that does
        not state one must not."""
        self.features: Final = features
        self.settings = settings
        self.clock = clock
        self.transport: Transport = transport or transport_from(settings.of(MailSettings))
        self.profile: Final = profile
        self.compares_issuer = True
        """Whether opening refuses a database of another issuer."""
        self.records_issuer = records_issuer
        self._listeners = listeners
        self._random = random
        self._ignored = ignored
        self._factors = tuple(factor for feature in features for factor in feature.factors)
        self._checks = tuple(check for feature in features for check in feature.checks)
        self._routes = self._made_routes()
        self._migrations = tuple(feature.migrations for feature in features if feature.migrations is not None)
        self._follower: Follower | None = None
        self.role_map: Final = dict[str, frozenset[str]]()
        self._revocations = KnownRevocations(
            fresh=self._feed_is_fresh,
            when_stale="serve" if settings.of(RevocationSettings).policy == SERVE else "refuse",
        )
        self.verifier: Final = Verifier(
            keys=KeySet(),
            issuer=settings.issuer,
            audience=settings.issuer,
            revocations=self._revocations,
            clock=lambda: self.clock.now() / MICROSECONDS,
        )
        self.authenticator: Final = TokenAuthenticator(
            self.verifier,
            own_origins=(settings.issuer_origin,),
            trusted_origins=settings.of(WebSettings).cookie_origins,
            role_map=self.role_map,
        )

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every route of the enabled slices, with its policy."""
        return self._routes

    def _made_routes(self) -> tuple[Route, ...]:
        stated = [route for feature in self.features for route in feature.routes]
        made = [feature.profile_routes(self.profile) for feature in self.features if feature.profile_routes]
        return (*stated, *chain.from_iterable(made), *(route_for(factor) for factor in self._factors))

    async def assemble(self, stack: AsyncExitStack) -> Ambient:
        """Opens every part but the housekeeper. ``stack`` closes them in reverse order."""
        if self._ignored:
            _LOG.info("settings.variables_ignored", extra={"names": " ".join(self._ignored)})
        ambient = await self._gather(stack)
        keeper = KeyKeeper(ambient)
        stack.push_async_callback(keeper.close)
        await keeper.open()
        if self.compares_issuer and self.records_issuer:  # after the keys: a start with a wrong secret writes nothing
            await claim(ambient.database, self.settings.issuer)
        await self._follow(ambient, keeper, stack)
        return ambient

    def housekeeper(self, ambient: Ambient) -> Housekeeper:
        return Housekeeper(ambient, self.features)

    async def migrate(self) -> list[str]:
        """Applies what is pending and returns its names."""
        if (path := sqlite_path(self.settings.database)) is not None:
            # the secret comes first: a database that exists without its secret is refused as a damaged copy
            load_secrets(self.settings.secret, database_path=path)
        async with running(database_from_url(self.settings.database)) as database:
            return [str(migration) for migration in await migrate(database, self._migrations)]

    async def pending(self) -> list[str]:
        """The names of migrations that are not applied yet."""
        async with running(database_from_url(self.settings.database)) as database:
            return [str(migration) for migration in await pending(database, self._migrations)]

    async def _gather(self, stack: AsyncExitStack) -> Ambient:
        """Everything that verbs need, opened. No background work runs yet, apart from the mail queue."""
        settings = self.settings
        named = database_from_url(settings.database)  # first: with a mistyped URL the secret would seem to be missing
        secrets = load_secrets(settings.secret, database_path=sqlite_path(settings.database))
        vault = Vault(secrets, random=self._random)
        database = listened(await stack.enter_async_context(running(named)), self._listeners)
        await self._bring_up_to_date(database)
        if self.compares_issuer:
            await refuse_another(database, settings.issuer)
        hot = await stack.enter_async_context(running(_hot(settings.hot, database)))
        self.role_map.clear()
        self.role_map.update(await role_map(database))
        hashing = Hashing(settings.of(HashingSettings), random=self._random)
        stack.callback(hashing.close)
        mail = MailQueue(self.transport)
        mail.open()
        stack.push_async_callback(mail.close)
        keys = SigningKeys(database, vault, self.verifier, clock=self.clock, timing=Timing.of(settings))
        progress = Progress()
        return Ambient(
            settings=settings,
            clock=self.clock,
            random=self._random,
            database=database,
            hot=hot,
            vault=vault,
            hashing=hashing,
            mail=mail,
            keys=keys,
            clients=StoredClients(database),
            verifier=self.verifier,
            revocations=self._revocations,
            feed=progress,
            status_lists=PublishedLists(database, progress, keys=keys, settings=settings, clock=self.clock),
            former_tokens_until=await issued_until(database),
            served=frozenset(route.path for route in self.routes if route.place is Place.PREFIX),
            factors=self._factors,
            checks=self._checks,
            endings=tuple(feature.ending for feature in self.features if feature.ending is not None),
            profile=self.profile,
            device_names=tuple(each.device_names for each in self.features if each.device_names is not None),
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

    def _feed_is_fresh(self) -> bool:
        staleness = self.settings.of(RevocationSettings).staleness
        return self._follower is not None and self._follower.age() <= staleness


def _hot(url: str | None, database: Database) -> Hot:
    return SqlHot(database) if url is None else hot_from_url(url)


@asynccontextmanager
async def running(part: T) -> AsyncIterator[T]:
    """A part that is open until the block ends."""
    await part.open()
    try:
        yield part
    finally:
        await part.close()
