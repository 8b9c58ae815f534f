"""``auth.accounts``."""

from collections.abc import Collection, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Generic

from ostiary.api.door import Door, P, Page, check_id, check_text, checked_limit
from ostiary.core.accounts import model, queries, registration, service
from ostiary.core.accounts.authority import USERS_READ, USERS_WRITE, check
from ostiary.core.accounts.stored_profile import read_profile
from ostiary.core.clock import exact_moment
from ostiary.core.sessions.service import set_disabled
from ostiary.errors import InvalidBody, NotFound


@dataclass(frozen=True, slots=True)
class Account(Generic[P]):
    """An account.

    ``created_at`` is in UTC. ``version`` grows with every change of roles, state and profile. ``profile`` is an
    instance of the application's profile class. It is None without such a class, and where the stored profile does not
    fit the class any more: ``profile_problem`` then says why.
    """

    id: str
    email: str
    email_verified: bool
    disabled: bool
    roles: tuple[str, ...]
    created_at: datetime
    version: int
    profile: P | None
    profile_problem: str | None = None


class Accounts(Door, Generic[P]):
    """Accounts. Reading needs the permission ``users:read``, changing ``users:write``; owners may read their own."""

    async def get(self, account_id: str) -> Account[P]:
        """One account.

        Raises:
            NotFound: there is no such account.
            Forbidden: the actor may not read it.
        """
        check_id(account_id)
        ambient = self._ambient
        await check(ambient, ambient.database, self._actor, USERS_READ, own=account_id)
        return await self._read(account_id)

    async def by_email(self, email: str) -> Account[P]:
        """The account with this address.

        Raises:
            NotFound: there is no such account, or the text is no address.
            Forbidden: the actor lacks ``users:read``.
        """
        ambient = self._ambient
        await check(ambient, ambient.database, self._actor, USERS_READ)
        found = await service.find(ambient, email)
        if found is None:
            raise NotFound(f"there is no account {email}")
        return await self._shown(found)

    async def list(self, *, after: str | None = None, limit: int = 100) -> Page[Account[P]]:
        """Accounts in the order of their addresses.

        Args:
            after: ``next`` of the page before.
            limit: 1 to 1000.

        Raises:
            Forbidden: the actor lacks ``users:read``.
        """
        ambient, after, limit = self._ambient, after or "", checked_limit(limit)
        check_text("after", after)
        reader = ambient.database
        await check(ambient, reader, self._actor, USERS_READ)
        found = await queries.page(reader, after=after, limit=limit + 1)
        page = found[:limit]
        last = page[-1][1] if page else after  # by key and not by number: accounts may come in between the statements
        roles = await queries.roles_of_page(reader, after=after, last=last)
        profiles = {} if ambient.profile is None else await queries.profiles_of_page(reader, after=after, last=last)
        items = tuple(self._made(each, roles.get(each.id, ()), profiles.get(each.id)) for each, _ in page)
        return Page(items, page[-1][1] if len(found) > limit else None)

    async def permissions(self, account_id: str) -> tuple[str, ...]:
        """What the account's roles permit.

        Raises:
            NotFound: there is no such account.
            Forbidden: the actor may not read it.
        """
        check_id(account_id)
        await self.get(account_id)
        return await queries.permissions(self._ambient.database, account_id)

    async def create(
        self, *, email: str, password: str, roles: Collection[str] = (), profile: P | None = None
    ) -> Account[P]:
        """Makes an account at once. Its address counts as verified, and no mail is sent.

        Args:
            roles: in addition to ``user``.
            profile: by default the defaults of the profile class.

        Raises:
            InvalidEmail, PasswordRejected, Busy
            Conflict: the address is taken.
            InvalidBody: there is no such role, or the profile does not fit.
            Forbidden: the actor lacks ``users:write``, or gives a role that it does not hold itself.
        """
        for role in roles:
            check_text("roles", role)
        made = await registration.create(
            self._ambient, self._actor, email=email, password=password, roles=roles, profile=profile
        )
        return await self._shown(made)

    async def update(self, account_id: str, *, profile: P, if_version: int | None = None) -> Account[P]:
        """Replaces the profile. Stored fields that the class does not know any more are kept.

        Args:
            if_version: the version that the change is based on.

        Raises:
            NotFound: there is no such account.
            Conflict: its version is not ``if_version``.
            InvalidBody: the profile does not fit, or this installation has no profile class.
            TypeError: ``if_version`` is not an int, or ``profile`` is of another class.
            Forbidden: the actor lacks ``users:write``. An owner changes only the writable fields, over HTTP.
        """
        check_id(account_id)
        if if_version is not None and type(if_version) is not int:
            # SQLite would compare "1" with 1 and true with 1, and PostgreSQL would fail
            raise TypeError(f"if_version must be an int, not a {type(if_version).__name__}")
        ambient, actor = self._ambient, self._actor
        shape = ambient.profile
        if shape is None:
            raise InvalidBody("this installation has no profile class")
        await check(ambient, ambient.database, actor, USERS_WRITE)

        def change(stored: str | None) -> str:
            return shape.replaced(stored, profile)

        await service.change_profile(ambient, actor, account_id, change, if_version=if_version)
        return await self._read(account_id)

    async def set_roles(
        self, account_id: str, *, add: Set[str] = frozenset(), remove: Set[str] = frozenset()
    ) -> Account[P]:
        """Gives and takes roles. It takes effect at once: access tokens issued before are refused.

        Raises:
            NotFound: there is no such account.
            InvalidBody: there is no such role, or one is both given and taken.
            Conflict: it would leave no admin.
            Forbidden: the actor lacks ``users:write``, or gives a role that it does not hold itself.
        """
        check_id(account_id)
        for role in (*add, *remove):
            check_text("roles", role)
        await service.set_roles(self._ambient, self._actor, account_id, add=add, remove=remove)
        return await self._read(account_id)

    async def disable(self, account_id: str) -> Account[P]:
        """Disables an account and ends its sessions, effective at once.

        Raises:
            NotFound: there is no such account.
            Conflict: it would leave no admin.
            Forbidden: the actor lacks ``users:write``.
        """
        check_id(account_id)
        await set_disabled(self._ambient, self._actor, account_id, disabled=True)
        return await self._read(account_id)

    async def enable(self, account_id: str) -> Account[P]:
        """Enables an account that was disabled. Nobody who was signed in before is signed in again.

        Raises:
            NotFound: there is no such account.
            Forbidden: the actor lacks ``users:write``.
        """
        check_id(account_id)
        await set_disabled(self._ambient, self._actor, account_id, disabled=False)
        return await self._read(account_id)

    async def _read(self, account_id: str) -> Account[P]:
        found = await queries.by_id(self._ambient.database, account_id)
        if found is None:
            raise NotFound(f"there is no account {account_id}")
        return await self._shown(found)

    async def _shown(self, found: model.Account) -> Account[P]:
        ambient = self._ambient
        standing = await queries.standing(ambient.database, found.id)
        stored = None if ambient.profile is None else await queries.profile(ambient.database, found.id)
        return self._made(found, standing.roles if standing else (), stored)

    def _made(self, found: model.Account, roles: tuple[str, ...], stored: str | None) -> Account[P]:
        profile, problem = read_profile(self._ambient.profile, stored, account_id=found.id)
        return Account(
            id=found.id,
            email=found.email,
            email_verified=found.verified_at is not None,
            disabled=found.disabled_at is not None,
            roles=roles,
            created_at=exact_moment(found.created_at),
            version=found.version,
            profile=profile,
            profile_problem=problem,
        )
