"""POST /auth/revoke."""

from typing import Final

import msgspec

from ostiary.core.plug import Answer, Call, Credential, Csrf, Empty, InChecks, Place, Policy, Route, Speaks
from ostiary.core.tokens.service import revoke


class Revoke(msgspec.Struct, frozen=True):
    """RFC 7009 §2.1. The hint may be any text, because the token itself shows its kind."""

    token: str
    token_type_hint: str | None = None


async def answer(call: Call[Revoke]) -> Answer:
    # unknown, foreign, expired and already revoked tokens get the same answer (§2.2)
    await revoke(call.ambient, call.actor, call.body.token)
    return Answer(200)


ROUTES: Final = (
    Route(
        method="POST",
        place=Place.PREFIX,
        path="/revoke",
        summary="Revoke an access token, or end the session of a refresh token",
        policy=Policy(
            speaks=Speaks.OAUTH,
            # the tokens belong to the first-party client, which has no secret: the holder of a token may revoke it
            credential=Credential.NONE,
            csrf=Csrf.SAME_ORIGIN,
            limit=InChecks(),  # counted per session: a request without one of our tokens does nothing
        ),
        handler=answer,
        body=Revoke,
        query=Empty,
        answers={200: None},
        errors=(),
    ),
)
