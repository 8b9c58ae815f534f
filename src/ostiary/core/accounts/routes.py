"""POST /auth/register, and the page that its mail links to."""

import base64
from typing import Any, Final

import msgspec

from ostiary.core.accounts import registration
from ostiary.core.accounts.settings import RegistrationSettings
from ostiary.core.mail import render_page
from ostiary.core.plug import (
    PAGE,
    Answer,
    Call,
    Credential,
    Csrf,
    Empty,
    InChecks,
    Page,
    PerSource,
    Place,
    Policy,
    Profile,
    Route,
    Speaks,
)
from ostiary.errors import Busy, InvalidCredentials, InvalidEmail, InvalidToken, PasswordRejected, RateLimited

_NONCE_SIZE: Final = 16


class Register(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: str
    password: str


class Registered(msgspec.Struct, frozen=True):
    """The response to every well-formed request."""

    message: str = "If the address can be registered, a mail is on its way or the account is ready."


class VerifyEmail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``password`` is the one chosen at registration. Our page asks for it, and yours should too. Without it, an
    attacker who registered another person's address gets the account when that person uses the link."""

    token: str
    password: str | None = None


async def register(call: Call[Register]) -> Answer:
    profile = getattr(call.body, "profile", None)  # only installations with a profile class have the field
    await registration.register(
        call.ambient,
        call.actor,
        email=call.body.email,
        password=call.body.password,
        profile=None if profile is msgspec.UNSET else profile,
    )
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
        path="/email/verify",
        summary="Confirm an e-mail address with the token from the mail",
        policy=Policy(speaks=Speaks.JSON, credential=Credential.NONE, csrf=Csrf.SAME_ORIGIN, limit=InChecks()),
        handler=verify_email,
        body=VerifyEmail,
        query=Empty,
        answers={204: None},
        errors=(InvalidToken, InvalidCredentials, RateLimited, Busy),
    ),
    Route(
        method="GET",
        place=Place.PREFIX,
        path="/email/verify",
        summary="The page that a registration mail links to",
        policy=PAGE,
        handler=verification_page,
        body=Empty,
        query=Empty,
        answers={200: Page},
        errors=(),
    ),
)


def routes_for(profile: Profile[Any] | None) -> tuple[Route, ...]:
    """The routes whose body contains the application's own fields."""
    register_route = Route(
        method="POST",
        place=Place.PREFIX,
        path="/register",
        summary="Register with an e-mail address and a password",
        policy=Policy(
            speaks=Speaks.JSON,
            credential=Credential.NONE,
            csrf=Csrf.SAME_ORIGIN,
            limit=PerSource(RegistrationSettings, "limit"),
        ),
        handler=register,
        body=Register if profile is None else _with_profile(profile),
        query=Empty,
        answers={202: Registered},
        errors=(InvalidEmail, PasswordRejected, Busy),
    )
    return (register_route,)


def _with_profile(profile: Profile[Any]) -> type[msgspec.Struct]:
    fields = [("profile", profile.body | msgspec.UnsetType, msgspec.UNSET)]
    return msgspec.defstruct("Register", fields, bases=(Register,), frozen=True, forbid_unknown_fields=True)
