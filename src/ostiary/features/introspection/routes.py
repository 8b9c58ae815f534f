"""POST /auth/introspect."""

from typing import Final

import msgspec

from ostiary.core.plug import Answer, Call, Credential, Csrf, Empty, Place, Policy, Route, Speaks, Unlimited
from ostiary.errors import RevocationsUnknown
from ostiary.features.introspection.model import Introspection
from ostiary.features.introspection.service import introspect


class Introspect(msgspec.Struct, frozen=True):
    """RFC 7662 §2.1. The hint may be any text, because the token itself shows its kind."""

    token: str
    token_type_hint: str | None = None


async def answer(call: Call[Introspect]) -> Answer:
    return Answer(200, introspect(call.ambient, call.service, call.body.token))


ROUTES: Final = (
    Route(
        method="POST",
        place=Place.PREFIX,
        path="/introspect",
        summary="Whether an access token for one of the client's resources is valid, and its claims",
        policy=Policy(
            speaks=Speaks.OAUTH,
            credential=Credential.CLIENT,
            csrf=Csrf.SAME_ORIGIN,
            limit=Unlimited(because="only clients can ask, secrets and tokens cannot be guessed, and it costs little"),
        ),
        handler=answer,
        body=Introspect,
        query=Empty,
        answers={200: Introspection},
        errors=(RevocationsUnknown,),
    ),
)
