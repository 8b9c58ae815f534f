"""POST /auth/totp, POST /auth/totp/confirm, DELETE /auth/totp. The sign-in steps come from the dispatcher."""

from typing import Final

import msgspec

from ostiary.core.plug import Answer, Call, Credential, Csrf, Empty, InChecks, Place, Policy, Route, Speaks, Unlimited
from ostiary.errors import (
    Busy,
    Conflict,
    InsufficientUserAuthentication,
    InvalidCode,
    NotFound,
    RateLimited,
    TokenRevoked,
)
from ostiary.features.totp import service


class TotpEnrolment(msgspec.Struct, frozen=True):
    """It takes effect when it is confirmed with a code. Its fields are not shown again."""

    secret: str
    """For typing: base32, 160 bits."""
    otpauth_uri: str
    qr_svg: str
    """A picture of ``otpauth_uri``: an SVG element."""


class ConfirmTotp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Each replaces a code of the app once. They are not shown again."""

    recovery_codes: tuple[str, ...]


async def enrol(call: Call[Empty]) -> Answer:
    begun = await service.enrol(call.ambient, call.actor, call.me)
    return Answer(200, TotpEnrolment(secret=begun.secret, otpauth_uri=begun.otpauth_uri, qr_svg=begun.qr_svg))


async def confirm(call: Call[ConfirmTotp]) -> Answer:
    codes = await service.confirm(call.ambient, call.actor, call.me, code=call.body.code)
    return Answer(200, RecoveryCodes(codes))


async def remove(call: Call[Empty]) -> Answer:
    await service.remove(call.ambient, call.actor, call.me)
    return Answer(204)


ROUTES: Final = (
    Route(
        method="POST",
        place=Place.PREFIX,
        path="/totp",
        summary="Start to set up an authenticator app",
        policy=Policy(speaks=Speaks.JSON, credential=Credential.ACCESS, csrf=Csrf.SAME_ORIGIN, limit=InChecks()),
        handler=enrol,
        body=Empty,
        query=Empty,
        answers={200: TotpEnrolment},
        errors=(InsufficientUserAuthentication, Conflict, RateLimited, TokenRevoked, Busy),
    ),
    Route(
        method="POST",
        place=Place.PREFIX,
        path="/totp/confirm",
        summary="Confirm the authenticator app with one of its codes, and get the recovery codes",
        policy=Policy(speaks=Speaks.JSON, credential=Credential.ACCESS, csrf=Csrf.SAME_ORIGIN, limit=InChecks()),
        handler=confirm,
        body=ConfirmTotp,
        query=Empty,
        answers={200: RecoveryCodes},
        errors=(InvalidCode, Conflict, RateLimited, TokenRevoked),
    ),
    Route(
        method="DELETE",
        place=Place.PREFIX,
        path="/totp",
        summary="Remove the authenticator app and its recovery codes",
        policy=Policy(
            speaks=Speaks.JSON,
            credential=Credential.ACCESS,
            csrf=Csrf.SAME_ORIGIN,
            limit=Unlimited(
                because="it needs a sign-in with a second factor in the last five minutes, which is limited"
            ),
        ),
        handler=remove,
        body=Empty,
        query=Empty,
        answers={204: None},
        errors=(InsufficientUserAuthentication, NotFound, TokenRevoked),
    ),
)
