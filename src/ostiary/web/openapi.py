"""The OpenAPI 3.1 document, made from the routes and from nothing else: what it says is what is served."""

import re
import urllib.parse
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import msgspec

from ostiary.core.plug import Credential, Csrf, Empty, Page, Place, Route, Unlimited
from ostiary.core.settings import Settings
from ostiary.errors import (
    BodyTooLarge,
    CrossSiteRequest,
    InvalidBody,
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
from ostiary.verifier import ACCESS_COOKIE, REFRESH_COOKIE
from ostiary.web.edge import WELL_KNOWN, placed
from ostiary.web.table import PARAMETER

Json: TypeAlias = dict[str, Any]
Struct: TypeAlias = type[msgspec.Struct]
References: TypeAlias = Mapping[Struct, Json]

_SCHEMES: Final[Json] = {
    "accessCookie": {"type": "apiKey", "in": "cookie", "name": ACCESS_COOKIE},
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "refreshCookie": {"type": "apiKey", "in": "cookie", "name": REFRESH_COOKIE},
}
# any one entry suffices; the empty one stands for a token in the body
_SECURITY: Final[dict[Credential, list[Json]]] = {
    Credential.NONE: [],
    Credential.ACCESS: [{"bearer": []}, {"accessCookie": []}],
    Credential.REFRESH: [{"refreshCookie": []}, {}],
    Credential.ANY: [{"bearer": []}, {"accessCookie": []}, {"refreshCookie": []}, {}],
}

_OF_CREDENTIAL: Final[dict[Credential, tuple[type[OstiaryError], ...]]] = {
    Credential.NONE: (),
    Credential.ACCESS: (
        MissingCredential, InvalidToken, MalformedCredential, MultipleCredentials, RevocationsUnknown,
    ),
    Credential.REFRESH: (MissingToken, MultipleCredentials),
    Credential.ANY: (MalformedCredential, MultipleCredentials),
}  # fmt: skip
_OF_BODY: Final = (InvalidRequest, MalformedJson, BodyTooLarge, UnsupportedMediaType, InvalidBody)

_PROBLEM: Final[Json] = {
    "title": "Problem",
    "description": "Problem details (RFC 9457). Compare `code`; the other texts are for people.",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "reasons": {"type": "array", "items": {"type": "string"}},
        "part": {"type": "string"},
    },
    "required": ["type", "title", "status", "code"],
}
_HEADER_OF_STATUS: Final[dict[int, Json]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 1}}},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 1}}},
}


def document(routes: Sequence[Route], *, settings: Settings, version: str) -> Json:
    """The document, as JSON values. The same routes give the same text."""
    ordered = sorted(routes, key=lambda route: (placed(route, settings), route.method))
    structs = _structs(ordered)
    references, schemas = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    reference_of = dict(zip(structs, references, strict=True))
    paths: Json = {}
    for route in ordered:
        path = paths.setdefault(placed(route, settings), _at_host(route, settings))
        path[route.method.lower()] = _operation(route, reference_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ostiary", "version": version},
        "servers": [{"url": settings.issuer}],
        "paths": paths,
        "components": {"schemas": dict(sorted({**schemas, "Problem": _PROBLEM}.items())), "securitySchemes": _SCHEMES},
    }


def _at_host(route: Route, settings: Settings) -> Json:
    """A path item that counts from the host and not from an issuer below it."""
    has_path = urllib.parse.urlsplit(settings.issuer).path
    return {"servers": [{"url": settings.issuer_origin}]} if has_path and route.path.startswith(WELL_KNOWN) else {}


def _structs(routes: Sequence[Route]) -> list[Struct]:
    """Every struct that travels as JSON, once."""
    bodies = [route.body for route in routes if route.body is not Empty]
    answers = [body for route in routes for body in route.answers.values() if body is not None and body is not Page]
    return list(dict.fromkeys(bodies + answers))


def _operation(route: Route, reference_of: References) -> Json:
    operation: Json = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [_tag(route)],
        "security": _SECURITY[route.credential],
    }
    if parameters := PARAMETER.findall(route.path):
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parameters
        ]
    if route.body is not Empty:
        operation["requestBody"] = {
            "required": any(field.required for field in msgspec.structs.fields(route.body)),
            "content": {"application/json": {"schema": reference_of[route.body]}},
        }
    operation["responses"] = {**_answers(route, reference_of), **_refusals(route)}
    return operation


def _operation_id(route: Route) -> str:
    """``DELETE /sessions/{id}`` → ``delete_sessions_by_id``."""
    named = PARAMETER.sub(r"by \1", route.path)
    return "_".join(re.findall(r"[a-z0-9]+", f"{route.method} {named}".lower()))


def _tag(route: Route) -> str:
    """The slice, which is what the path begins with."""
    if route.place is Place.ROOT:
        return "discovery" if route.path.startswith(WELL_KNOWN) else "health"
    return re.split(r"[/.]", route.path)[1]


def _answers(route: Route, reference_of: References) -> Json:
    return {str(status): _answer(status, body, reference_of) for status, body in sorted(route.answers.items())}


def _answer(status: int, body: Struct | None, reference_of: References) -> Json:
    described: Json = {"description": HTTPStatus(status).phrase}
    if body is Page:
        described["content"] = {"text/html": {"schema": {"type": "string"}}}
    elif body is not None:
        described["content"] = {"application/json": {"schema": reference_of[body]}}
    return described


def _refusals(route: Route) -> Json:
    title_of: dict[int, dict[str, str]] = {}
    for error in errors_of(route):
        title_of.setdefault(error.status, {})[error.code] = error.title
    return {str(status): _refusal(status, title_of[status]) for status in sorted(title_of)}


def _refusal(status: int, title_of: Mapping[str, str]) -> Json:
    codes = sorted(title_of)
    problem = {
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {"properties": {"status": {"const": status}, "code": {"enum": codes}}},
        ]
    }
    described: Json = {
        "description": " ".join(dict.fromkeys(title_of[code] for code in codes)),
        "content": {"application/problem+json": {"schema": problem}},
    }
    if header := _HEADER_OF_STATUS.get(status):
        described["headers"] = header
    return described


def errors_of(route: Route) -> tuple[type[OstiaryError], ...]:
    """What a route may refuse with: what it states, and what its policy and the parsing of requests add."""
    of_body = () if route.method == "GET" else _OF_BODY
    of_limit = () if isinstance(route.limit, Unlimited) else (RateLimited,)
    of_csrf = (CrossSiteRequest,) if route.csrf is Csrf.SAME_ORIGIN and _meets_cookies(route) else ()
    of_path = (NotFound,) if "{" in route.path else ()
    return (*route.errors, *of_body, *_OF_CREDENTIAL[route.credential], *of_limit, *of_csrf, *of_path, Unavailable)


def is_stated(error: OstiaryError, route: Route) -> bool:
    """Whether the document tells a caller of this refusal: by its status and code, which subclasses may share."""
    return (error.status, error.code) in {(stated.status, stated.code) for stated in errors_of(route)}


def _meets_cookies(route: Route) -> bool:
    return route.credential is not Credential.NONE or "transport" in route.body.__struct_fields__
