"""POST /auth/register, and the link of its mail."""

import base64
from typing import Final

import msgspec

from ostiary.core.accounts import registration
from ostiary.core.mail import render_page
from ostiary.core.plug import (
    Answer,
    Call,
    Credential,
    Csrf,
    Empty,
    InChecks,
    Page,
    PerSource,
    Place,
    Route,
    Speaks,
    Unlimited,
)
from ostiary.errors import Busy, InvalidCredentials, InvalidEmail, InvalidToken, PasswordRejected, RateLimited

_NONCE_SIZE: Final = 16


class Register(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: str
    password: str


class Registered(msgspec.Struct, frozen=True):
    """The same for every well-formed request."""

    message: str = "If the address can be registered, a mail is on its way or the account is ready."


class VerifyEmail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``password`` is the one chosen at registration. Our page asks for it, and so should yours: without it, whoever
    registered somebody else's address gets the account when that person uses the link."""

    token: str
    password: str | None = None


async def register(call: Call[Register]) -> Answer:
    await registration.register(call.ambient, call.actor, email=call.body.email, password=call.body.password)
    return Answer(202, Registered())


async def verify_email(call: Call[VerifyEmail]) -> Answer:
    await registration.verify_email(call.ambient, call.actor, token=call.body.token, password=call.body.password)
    return Answer(204)


async def verification_page(call: Call[Empty]) -> Answer:
    settings = call.ambient.settings
    nonce = base64.b64encode(call.ambient.random.token(_NONCE_SIZE)).decode()
    html = render_page(__package__, "verify.html", nonce=nonce, host=settings.issuer_host)
    return Answer(200, Page(html=html, nonce=nonce))


ROUTES: Final = (
    Route(
        method="POST",
        place=Place.PREFIX,
        path="/register",
        summary="Register with an e-mail address and a password",
        handler=register,
        body=Register,
        query=Empty,
        speaks=Speaks.JSON,
        credential=Credential.NONE,
        csrf=Csrf.SAME_ORIGIN,
        limit=PerSource("register"),
        answers={202: Registered},
        errors=(InvalidEmail, PasswordRejected, Busy),
    ),
    Route(
        method="POST",
        place=Place.PREFIX,
        path="/email/verify",
        summary="Confirm an e-mail address with the token of the mail",
        handler=verify_email,
        body=VerifyEmail,
        query=Empty,
        speaks=Speaks.JSON,
        credential=Credential.NONE,
        csrf=Csrf.SAME_ORIGIN,
        limit=InChecks(),
        answers={204: None},
        errors=(InvalidToken, InvalidCredentials, RateLimited, Busy),
    ),
    Route(
        method="GET",
        place=Place.PREFIX,
        path="/email/verify",
        summary="The page that a registration mail links to",
        handler=verification_page,
        body=Empty,
        query=Empty,
        speaks=Speaks.JSON,
        credential=Credential.NONE,
        csrf=Csrf.SAFE,
        limit=Unlimited(because="a constant page"),
        answers={200: Page},
        errors=(),
    ),
)
