"""The errors that a route may answer: those that it declares, and those of its policy and of parsing."""

from typing import Final

from ostiary.core.plug import Credential, Csrf, Empty, Route, Unlimited
from ostiary.errors import (
    BodyTooLarge,
    CrossSiteRequest,
    InvalidBody,
    InvalidClient,
    InvalidQuery,
    InvalidRequest,
    InvalidToken,
    MalformedCredential,
    MalformedJson,
    MissingCredential,
    MissingToken,
    MultipleCredentials,
    NotFound,
    OstiaryError,
    RateLimited,
    RevocationsUnknown,
    Unavailable,
    UnsupportedMediaType,
)

_OF_CREDENTIAL: Final[dict[Credential, tuple[type[OstiaryError], ...]]] = {
    Credential.NONE: (),
    Credential.ACCESS: (
        MissingCredential, InvalidToken, MalformedCredential, MultipleCredentials, RevocationsUnknown,
    ),
    Credential.REFRESH: (MissingToken, MultipleCredentials),
    Credential.ANY: (MalformedCredential, MultipleCredentials),
    Credential.CLIENT: (InvalidClient, MultipleCredentials),
}  # fmt: skip
_OF_BODY: Final = (InvalidRequest, MalformedJson, BodyTooLarge, UnsupportedMediaType, InvalidBody)
_OF_QUERY: Final = (InvalidRequest, InvalidQuery)
_WITHOUT_COOKIES: Final = frozenset({Credential.NONE, Credential.CLIENT})


def errors_of(route: Route) -> tuple[type[OstiaryError], ...]:
    return (
        *route.errors,
        *(() if route.method == "GET" else _OF_BODY),
        *(() if route.query is Empty else _OF_QUERY),
        *_OF_CREDENTIAL[route.credential],
        *((MultipleCredentials,) if "device_token" in route.body.__struct_fields__ else ()),
        *(() if isinstance(route.limit, Unlimited) else (RateLimited,)),
        *((CrossSiteRequest,) if route.csrf is Csrf.SAME_ORIGIN and _meets_cookies(route) else ()),
        *((NotFound,) if "{" in route.path else ()),
        Unavailable,
    )


def is_stated(error: OstiaryError, route: Route) -> bool:
    """Whether the OpenAPI document lists this error, by status and code. Subclasses may share both."""
    return (error.status, error.code) in {(stated.status, stated.code) for stated in errors_of(route)}


def _meets_cookies(route: Route) -> bool:
    return route.credential not in _WITHOUT_COOKIES or "transport" in route.body.__struct_fields__
