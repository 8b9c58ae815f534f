"""POST /auth/login, POST /auth/password/change, and one POST /auth/login/<factor> for each plugged-in factor."""

from typing import Annotated, Final

import msgspec

from ostiary.core.devices.names import LONGEST_NAME
from ostiary.core.opaque import Purpose, fingerprint
from ostiary.core.plug import (
    Ambient,
    Answer,
    Call,
    Credential,
    Csrf,
    Empty,
    Factor,
    FactorBody,
    InChecks,
    Place,
    Policy,
    Route,
    Speaks,
    Transport,
)
from ostiary.core.sign_in import service
from ostiary.core.sign_in.change import change_password
from ostiary.core.sign_in.model import Continues, SignedIn, SignInOptions
from ostiary.core.tokens.model import TokenSet
from ostiary.core.tokens.routes import hand_out
from ostiary.errors import (
    Busy,
    CrossSiteRequest,
    InvalidBody,
    InvalidCode,
    InvalidCredentials,
    InvalidTarget,
    InvalidToken,
    PasswordRejected,
    RateLimited,
    TooManySessions,
)


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: str
    password: str
    device_name: Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)] | None = None
    device_token: str | None = None
    resource: str | None = None
    transport: Transport = "token"


class ChangePassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    current_password: str
    new_password: str


class NextStep(msgspec.Struct, frozen=True):
    """Another proof is needed. Choose a factor from ``next`` and POST to ``/auth/login/<name>`` with ``attempt``."""

    next: tuple[str, ...]
    attempt: str
    expires_in: int
    """Seconds."""


async def login(call: Call[Login]) -> Answer:
    if call.body.device_name is not None and not call.body.device_name.isprintable():
        # the name appears in lists and mails
        raise InvalidBody("`device_name` must contain only printable characters")
    step = await service.begin(
        call.ambient,
        call.actor,
        email=call.body.email,
        password=call.body.password,
        wanted=SignInOptions(
            transport=call.body.transport,
            device_name=call.body.device_name,
            device_hash=fingerprint(call.device_token, Purpose.DEVICE) if call.device_token else None,
            resource=call.body.resource,
        ),
    )
    return _render(call.ambient, step)


async def password_change(call: Call[ChangePassword]) -> Answer:
    await change_password(
        call.ambient, call.actor, call.me, current=call.body.current_password, new=call.body.new_password
    )
    return Answer(204)


def route_for(factor: Factor) -> Route:
    """The route for the step of a plugged-in factor."""

    async def proceed(call: Call[FactorBody]) -> Answer:
        step = await service.proceed(call.ambient, call.actor, factor, call.body, may_set_cookies=call.from_own_site)
        return _render(call.ambient, step)

    return Route(
        method="POST",
        place=Place.PREFIX,
        path=f"/login/{factor.name.replace('_', '-')}",
        summary=f"Continue a sign-in with the factor {factor.name}",
        policy=Policy(speaks=Speaks.JSON, credential=Credential.NONE, csrf=Csrf.SAME_ORIGIN, limit=InChecks()),
        handler=proceed,
        body=factor.body,
        query=Empty,
        answers={200: TokenSet, 202: NextStep},
        errors=(InvalidCode, RateLimited, CrossSiteRequest, TooManySessions),
    )


def _render(ambient: Ambient, step: SignedIn | Continues) -> Answer:
    if isinstance(step, SignedIn):
        return hand_out(ambient, step.granted, transport=step.transport, device_token=step.device_token)
    return Answer(202, NextStep(next=step.factors, attempt=step.attempt, expires_in=step.expires_in))


ROUTES: Final = (
    Route(
        method="POST",
        place=Place.PREFIX,
        path="/login",
        summary="Sign in with an e-mail address and a password",
        policy=Policy(speaks=Speaks.JSON, credential=Credential.NONE, csrf=Csrf.SAME_ORIGIN, limit=InChecks()),
        handler=login,
        body=Login,
        query=Empty,
        answers={200: TokenSet, 202: NextStep},
        errors=(InvalidCredentials, RateLimited, Busy, InvalidTarget, TooManySessions),
    ),
    Route(
        method="POST",
        place=Place.PREFIX,
        path="/password/change",
        summary="Change my password and end all other sessions",
        policy=Policy(speaks=Speaks.JSON, credential=Credential.ACCESS, csrf=Csrf.SAME_ORIGIN, limit=InChecks()),
        handler=password_change,
        body=ChangePassword,
        query=Empty,
        answers={204: None},
        errors=(InvalidCredentials, InvalidToken, PasswordRejected, RateLimited, Busy),
    ),
)
