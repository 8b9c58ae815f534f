"""GET and PATCH /auth/me."""

from datetime import datetime
from typing import Any

import msgspec

from ostiary.core.accounts import queries as accounts
from ostiary.core.accounts.model import Account, Described
from ostiary.core.accounts.service import change_profile
from ostiary.core.accounts.settings import AccountSettings
from ostiary.core.accounts.stored_profile import show_profile
from ostiary.core.clock import moment
from ostiary.core.plug import (
    OWN_READ,
    Ambient,
    Answer,
    Call,
    Credential,
    Csrf,
    Empty,
    InChecks,
    Place,
    Policy,
    Profile,
    Route,
    Speaks,
    count,
)
from ostiary.core.sessions import queries
from ostiary.errors import Forbidden, InvalidBody, NotFound, RateLimited, TokenRevoked


class MyAccount(msgspec.Struct, frozen=True):
    id: str
    email: str
    email_verified: bool
    created_at: datetime


class MySession(msgspec.Struct, frozen=True):
    id: str
    created_at: datetime
    expires_at: datetime
    device_name: str | None


class Me(msgspec.Struct, frozen=True):
    account: MyAccount
    roles: tuple[str, ...]
    permissions: tuple[str, ...]
    session: MySession
    amr: tuple[str, ...]


def routes_for(profile: Profile[Any] | None) -> tuple[Route, ...]:
    """The PATCH route exists only with a profile class. Without one there is nothing to change."""
    shapes = _Shapes(profile)

    async def me(call: Call[Empty]) -> Answer:
        ambient = call.ambient
        session_id = call.me.session_id
        found = await queries.shown(ambient.database, session_id, call.me.account_id)
        if found is None:
            raise TokenRevoked("the session of the token no longer exists")
        return Answer(
            200,
            shapes.me(
                account=await shapes.shown(ambient, found.account),
                roles=found.roles,
                permissions=found.permissions,
                session=MySession(session_id, moment(found.created_at), moment(found.expires_at), found.device_name),
                amr=found.amr,
            ),
        )

    read = Route(
        method="GET",
        place=Place.PREFIX,
        path="/me",
        summary="Read my account",
        policy=OWN_READ,
        handler=me,
        body=Empty,
        query=Empty,
        answers={200: shapes.me},
        errors=(TokenRevoked,),
    )
    return (read,) if profile is None else (read, _change_route(profile, shapes))


def _change_route(profile: Profile[Any], shapes: "_Shapes") -> Route:
    async def change(call: Call[Any]) -> Answer:
        ambient, account_id = call.ambient, call.me.account_id
        # each change is a row in the audit log, which a signed-in person must not be able to fill
        await count(ambient, f"profile:{account_id}", ambient.settings.of(AccountSettings).profile_limit)

        def changed(stored: str | None) -> str:
            return profile.changed(stored, call.body.profile)

        await change_profile(ambient, call.actor, account_id, changed, if_version=None)
        return Answer(200, await shapes.shown(ambient, await _account(ambient, account_id)))

    return Route(
        method="PATCH",
        place=Place.PREFIX,
        path="/me",
        summary="Change my profile",
        policy=Policy(speaks=Speaks.JSON, credential=Credential.ACCESS, csrf=Csrf.SAME_ORIGIN, limit=InChecks()),
        handler=change,
        body=msgspec.defstruct("ChangeMe", [("profile", profile.body)], frozen=True, forbid_unknown_fields=True),
        query=Empty,
        answers={200: shapes.account},
        errors=(InvalidBody, Forbidden, NotFound, TokenRevoked, RateLimited),
    )


class _Shapes:
    """The structs of the responses. With a profile class the account has the field ``profile``. It is null if the
    stored profile no longer fits the class."""

    def __init__(self, profile: Profile[Any] | None) -> None:
        self._profile = profile
        self.account: Any = MyAccount
        self.me: Any = Me
        if profile is not None:
            fields = [("profile", profile.answer | None)]
            self.account = msgspec.defstruct("MyAccount", fields, bases=(MyAccount,), frozen=True)
            self.me = msgspec.defstruct(
                "Me",
                [
                    ("account", self.account),
                    *((each.name, each.type) for each in msgspec.structs.fields(Me) if each.name != "account"),
                ],
                frozen=True,
            )

    async def shown(self, ambient: Ambient, account: Account | Described) -> msgspec.Struct:
        plain = (account.id, account.email, account.verified_at is not None, moment(account.created_at))
        if self._profile is None:
            return MyAccount(*plain)
        stored = await accounts.profile(ambient.database, account.id)
        made: msgspec.Struct = self.account(*plain, show_profile(self._profile, stored, account_id=account.id))
        return made


async def _account(ambient: Ambient, account_id: str) -> Account:
    account = await accounts.by_id(ambient.database, account_id)
    if account is None:
        raise TokenRevoked("the account of the token no longer exists")
    return account
