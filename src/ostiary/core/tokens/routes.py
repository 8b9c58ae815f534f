"""POST /auth/refresh and /auth/logout, GET /.well-known/jwks.json and /.well-known/oauth-authorization-server."""

from typing import Final

import msgspec
from msgspec import structs

from ostiary.core.clock import MICROSECONDS
from ostiary.core.plug import (
    Ambient,
    Answer,
    Call,
    CookieRole,
    Credential,
    Csrf,
    Empty,
    Place,
    Route,
    SetCookie,
    Transport,
    Unlimited,
)
from ostiary.core.tokens import service
from ostiary.core.tokens.model import Granted, TokenSet
from ostiary.errors import InvalidToken
from ostiary.verifier import well_known_url

_JWKS_MAX_AGE: Final = 300  # seconds: how long others may keep a copy, and so how late they learn of a new key
_FOR_EVERYBODY: Final = (("cache-control", f"public, max-age={_JWKS_MAX_AGE}"), ("access-control-allow-origin", "*"))


class Refresh(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    refresh_token: str | None = None


class Logout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    refresh_token: str | None = None


class Jwks(msgspec.Struct, frozen=True):
    """A JWK Set (RFC 7517 §5) with public members only."""

    keys: list[dict[str, str]]


class Metadata(msgspec.Struct, frozen=True):
    """Authorization server metadata (RFC 8414 §2), and of it what exists. An empty list says that there is none; a list
    left out would say that there are the usual ones."""

    issuer: str
    jwks_uri: str
    response_types_supported: tuple[str, ...] = ()
    grant_types_supported: tuple[str, ...] = ()


def hand_out(ambient: Ambient, granted: Granted, *, transport: Transport) -> Answer:
    """The answer that carries tokens: in the body, or in cookies and then nowhere else."""
    access_token, expires_in = service.sign_access_token(ambient, granted)
    bare = TokenSet(expires_in=expires_in, session_id=granted.session.id)
    if transport == "token":
        tokens = structs.replace(
            bare,
            access_token=access_token,
            token_type="Bearer",  # noqa: S106 — the scheme's name
            refresh_token=granted.refresh_token,
        )
        return Answer(200, tokens)
    session_remains = max(1, (granted.session.expires_at - ambient.now()) // MICROSECONDS)
    cookies = (
        SetCookie(CookieRole.ACCESS, access_token, expires_in),
        SetCookie(CookieRole.REFRESH, granted.refresh_token, session_remains),
    )
    return Answer(200, bare, cookies=cookies)


async def refresh(call: Call[Refresh]) -> Answer:
    granted = await service.refresh(call.ambient, call.actor, call.refresh_token or "")
    return hand_out(call.ambient, granted, transport=call.transport)


async def logout(call: Call[Logout]) -> Answer:
    await service.logout(call.ambient, call.actor, access_token=call.access_token, refresh_token=call.refresh_token)
    if call.transport == "token":
        return Answer(204)
    # Clear-Site-Data also removes what pages kept (REQUIREMENTS I13); the cookies are cleared by name as well
    return Answer(
        204,
        cookies=(SetCookie(CookieRole.ACCESS, "", 0), SetCookie(CookieRole.REFRESH, "", 0)),
        headers=(("clear-site-data", '"cache", "cookies", "storage"'),),
    )


async def jwks(call: Call[Empty]) -> Answer:
    return Answer(200, Jwks(**call.ambient.keys.published.to_jwks()), headers=_FOR_EVERYBODY)


async def metadata(call: Call[Empty]) -> Answer:
    issuer = call.ambient.settings.issuer
    return Answer(200, Metadata(issuer, well_known_url(issuer, "jwks.json")), headers=_FOR_EVERYBODY)


ROUTES: Final = (
    Route(
        method="POST",
        place=Place.PREFIX,
        path="/refresh",
        summary="Exchange a refresh token for the next token set",
        handler=refresh,
        body=Refresh,
        credential=Credential.REFRESH,
        csrf=Csrf.SAME_ORIGIN,
        limit=Unlimited(because="a refresh token has 256 random bits and a checksum; guessing costs no statement"),
        answers={200: TokenSet},
        errors=(InvalidToken,),
    ),
    Route(
        method="POST",
        place=Place.PREFIX,
        path="/logout",
        summary="End the session of the tokens that come along",
        handler=logout,
        body=Logout,
        credential=Credential.ANY,
        csrf=Csrf.SAME_ORIGIN,
        limit=Unlimited(because="without one of our tokens it does nothing"),
        answers={204: None},
        errors=(),
    ),
    Route(
        method="GET",
        place=Place.ROOT,
        path="/.well-known/jwks.json",
        summary="The public keys that verify access tokens",
        handler=jwks,
        body=Empty,
        credential=Credential.NONE,
        csrf=Csrf.SAFE,
        limit=Unlimited(because="public data, from memory"),
        answers={200: Jwks},
        errors=(),
    ),
    Route(
        method="GET",
        place=Place.ROOT,
        path="/.well-known/oauth-authorization-server",
        summary="Where other services find what they need to verify access tokens",
        handler=metadata,
        body=Empty,
        credential=Credential.NONE,
        csrf=Csrf.SAFE,
        limit=Unlimited(because="public data, from memory"),
        answers={200: Metadata},
        errors=(),
    ),
)
