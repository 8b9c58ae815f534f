"""POST /auth/refresh and /auth/logout, GET /.well-known/jwks.json and /.well-known/oauth-authorization-server."""

import hashlib
import re
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType, structs

from ostiary.core.clock import MICROSECONDS
from ostiary.core.devices.model import REMEMBERED
from ostiary.core.plug import (
    PUBLIC,
    Ambient,
    Answer,
    Call,
    CookieRole,
    Credential,
    Csrf,
    Empty,
    Place,
    Policy,
    Route,
    SetCookie,
    Speaks,
    Transport,
    Unlimited,
)
from ostiary.core.sessions.answers import signed_out
from ostiary.core.tokens import rotation, service
from ostiary.core.tokens.issuing import refuse_when_stale, sign_access_token
from ostiary.core.tokens.keys.model import JWKS_MAX_AGE
from ostiary.core.tokens.model import Granted, TokenSet
from ostiary.errors import InvalidTarget, InvalidToken, RateLimited, RevocationsUnknown
from ostiary.verifier import well_known_url

# must-revalidate: caches must not serve a stale copy, which may still contain a revoked key (RFC 9111 §5.2.2.2)
_FOR_EVERYBODY: Final = (
    ("cache-control", f"public, max-age={JWKS_MAX_AGE}, must-revalidate"),
    ("access-control-allow-origin", "*"),
)
_ENTITY_TAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e]*")')  # RFC 9110 §8.8.3

_TAG_LENGTH: Final = 32  # hexadecimal digits

_ENDPOINTS: Final = {
    "/revoke": "revocation_endpoint",
    "/introspect": "introspection_endpoint",
    "/feed": "ostiary_feed_endpoint",
}
_AUTH_METHODS: Final = {
    "/revoke": ("none",),
    "/introspect": ("client_secret_basic", "client_secret_post"),
}


class Refresh(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``device_token``: for clients that send it at sign-in. ``resource``: the audience of the access token."""

    refresh_token: str | None = None
    device_token: str | None = None
    resource: str | None = None


class Logout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    refresh_token: str | None = None


class Jwks(msgspec.Struct, frozen=True):
    """A JWK Set (RFC 7517 §5) with public members only."""

    keys: list[dict[str, str]]


class Metadata(msgspec.Struct, frozen=True):
    """Authorization server metadata (RFC 8414 §2), limited to what exists. An empty list means that there are none. A
    missing list would mean the defaults of the RFC."""

    issuer: str
    jwks_uri: str
    response_types_supported: tuple[str, ...] = ()
    grant_types_supported: tuple[str, ...] = ()
    revocation_endpoint: str | UnsetType = UNSET
    revocation_endpoint_auth_methods_supported: tuple[str, ...] | UnsetType = UNSET
    introspection_endpoint: str | UnsetType = UNSET
    introspection_endpoint_auth_methods_supported: tuple[str, ...] | UnsetType = UNSET
    ostiary_feed_endpoint: str | UnsetType = UNSET
    """The signed change feed. RFC 8414 does not define this member."""


def hand_out(ambient: Ambient, granted: Granted, *, transport: Transport, device_token: str | None = None) -> Answer:
    """The response that carries the tokens, either in the body or in cookies, never both. ``device_token``: a new
    one."""
    access_token, expires_in = sign_access_token(ambient, granted)
    bare = TokenSet(expires_in=expires_in, session_id=granted.session.id)
    if transport == "token":
        tokens = structs.replace(
            bare,
            access_token=access_token,
            token_type="Bearer",  # noqa: S106 — the scheme's name
            refresh_token=granted.refresh_token,
            device_token=UNSET if device_token is None else device_token,
        )
        return Answer(200, tokens)
    session_remains = max(1, (granted.session.ends_at - ambient.now()) // MICROSECONDS)
    cookies = [
        SetCookie(CookieRole.ACCESS, access_token, expires_in),
        SetCookie(CookieRole.REFRESH, granted.refresh_token, session_remains),
    ]
    if device_token is not None:
        cookies.append(SetCookie(CookieRole.DEVICE, device_token, REMEMBERED))
    return Answer(200, bare, cookies=tuple(cookies))


async def refresh(call: Call[Refresh]) -> Answer:
    granted = await rotation.refresh(
        call.ambient,
        call.actor,
        call.refresh_token or "",
        device_token=call.device_token,
        resource=call.body.resource,
    )
    return hand_out(call.ambient, granted, transport=call.transport)


async def logout(call: Call[Logout]) -> Answer:
    await service.logout(call.ambient, call.actor, access_token=call.access_token, refresh_token=call.refresh_token)
    return signed_out(call)


async def jwks(call: Call[Empty]) -> Answer:
    # a process that cannot know which keys were revoked must not publish any; other services keep their copy
    refuse_when_stale(call.ambient)
    published = Jwks(**call.ambient.keys.published.to_jwks())
    tag = f'"{hashlib.sha256(msgspec.json.encode(published)).hexdigest()[:_TAG_LENGTH]}"'
    headers = (*_FOR_EVERYBODY, ("etag", tag))
    if _has_already(call.if_none_match, tag):
        return Answer(304, headers=headers)
    return Answer(200, published, headers=headers)


def _has_already(if_none_match: str | None, tag: str) -> bool:
    """RFC 9110 §13.1.2: a list of entity tags with weak comparison, or ``*`` for any."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag in _ENTITY_TAG.findall(if_none_match)


async def metadata(call: Call[Empty]) -> Answer:
    issuer = call.ambient.settings.issuer
    found = Metadata(issuer, well_known_url(issuer, "jwks.json"), **_endpoints(call.ambient))
    return Answer(200, found, headers=_FOR_EVERYBODY)


def _endpoints(ambient: Ambient) -> dict[str, Any]:
    """The metadata members for the routes of optional slices."""
    under = f"{ambient.settings.issuer}{ambient.settings.prefix}"
    served = [path for path in _ENDPOINTS if path in ambient.served]
    methods = {
        f"{_ENDPOINTS[path]}_auth_methods_supported": _AUTH_METHODS[path] for path in served if path in _AUTH_METHODS
    }
    return {_ENDPOINTS[path]: f"{under}{path}" for path in served} | methods


ROUTES: Final = (
    Route(
        method="POST",
        place=Place.PREFIX,
        path="/refresh",
        summary="Exchange a refresh token for the next token set",
        policy=Policy(
            speaks=Speaks.JSON,
            credential=Credential.REFRESH,
            csrf=Csrf.SAME_ORIGIN,
            limit=Unlimited(because="a forged token costs no statement, and each session has a limit of its own"),
        ),
        handler=refresh,
        body=Refresh,
        query=Empty,
        answers={200: TokenSet},
        errors=(InvalidToken, InvalidTarget, RateLimited),
    ),
    Route(
        method="POST",
        place=Place.PREFIX,
        path="/logout",
        summary="End the session that the sent tokens belong to",
        policy=Policy(
            speaks=Speaks.JSON,
            credential=Credential.ANY,
            csrf=Csrf.SAME_ORIGIN,
            limit=Unlimited(because="it does nothing without a token that we issued"),
        ),
        handler=logout,
        body=Logout,
        query=Empty,
        answers={204: None},
        errors=(),
    ),
    Route(
        method="GET",
        place=Place.ROOT,
        path="/.well-known/jwks.json",
        summary="The public keys that verify access tokens",
        policy=PUBLIC,
        handler=jwks,
        body=Empty,
        query=Empty,
        answers={200: Jwks, 304: None},
        errors=(RevocationsUnknown,),
    ),
    Route(
        method="GET",
        place=Place.ROOT,
        path="/.well-known/oauth-authorization-server",
        summary="Where other services find what they need to verify access tokens",
        policy=PUBLIC,
        handler=metadata,
        body=Empty,
        query=Empty,
        answers={200: Metadata},
        errors=(),
    ),
)
