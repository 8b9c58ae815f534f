"""GET /auth/me."""

from datetime import datetime
from typing import Final

import msgspec

from ostiary.core.accounts import queries as accounts
from ostiary.core.clock import moment
from ostiary.core.plug import Answer, Call, Credential, Csrf, Empty, Place, Route, Speaks, Unlimited
from ostiary.core.sessions import queries
from ostiary.errors import TokenRevoked


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


async def me(call: Call[Empty]) -> Answer:
    database = call.ambient.database
    account = await accounts.by_id(database, call.me.account_id)
    session = await queries.by_id(database, call.me.session_id)
    if account is None or session is None:
        raise TokenRevoked("the account or session behind the token is gone")
    standing = await accounts.standing(database, account.id)
    return Answer(
        200,
        Me(
            account=MyAccount(account.id, account.email, account.verified_at is not None, moment(account.created_at)),
            roles=standing.roles if standing else (),
            permissions=await accounts.permissions(database, account.id),
            session=MySession(session.id, moment(session.created_at), moment(session.expires_at), session.device_name),
            amr=session.amr,
        ),
    )


ROUTES: Final = (
    Route(
        method="GET",
        place=Place.PREFIX,
        path="/me",
        summary="Who is calling",
        handler=me,
        body=Empty,
        query=Empty,
        speaks=Speaks.JSON,
        credential=Credential.ACCESS,
        csrf=Csrf.SAFE,
        limit=Unlimited(because="the access token is checked first, without the database"),
        answers={200: Me},
        errors=(TokenRevoked,),
    ),
)
