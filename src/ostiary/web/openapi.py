"""The OpenAPI 3.1 document. It is made from the routes alone, so it describes exactly what is served."""

import re
import urllib.parse
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import msgspec

from ostiary.core.plug import Credential, Empty, Page, Place, Route, SignedText, Speaks
from ostiary.core.settings import Settings
from ostiary.verifier import cookie_names
from ostiary.web.body import Media
from ostiary.web.edge import WELL_KNOWN, placed
from ostiary.web.oauth import MEDIA, told
from ostiary.web.stated import errors_of
from ostiary.web.table import PARAMETER

Json: TypeAlias = dict[str, Any]
Struct: TypeAlias = type[msgspec.Struct]
References: TypeAlias = Mapping[Struct, Json]

_REFERENCE: Final = "#/components/schemas/{name}"
_NO_JSON: Final = frozenset({None, Page, SignedText})

_SECURITY: Final[dict[Credential, list[Json]]] = {
    Credential.NONE: [],
    Credential.ACCESS: [{"bearer": []}, {"accessCookie": []}],
    Credential.REFRESH: [{"refreshCookie": []}, {}],
    Credential.ANY: [{"bearer": []}, {"accessCookie": []}, {"refreshCookie": []}, {}],
    Credential.CLIENT: [{"client": []}, {}],
}

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
_OAUTH_ERROR: Final[Json] = {
    "title": "OAuthError",
    "description": "The error object of RFC 6749 §5.2. Compare `error`; the description is for people.",
    "type": "object",
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    "required": ["error", "error_description"],
}
_REFUSALS: Final[Json] = {"Problem": _PROBLEM, "OAuthError": _OAUTH_ERROR}
_CLIENT_IN_BODY: Final[Json] = {
    "description": "Instead of HTTP Basic (RFC 6749 §2.3.1).",
    "type": "object",
    "properties": {"client_id": {"type": "string"}, "client_secret": {"type": "string"}},
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
    references, schemas = msgspec.json.schema_components(structs, ref_template=_REFERENCE)
    reference_of = dict(zip(structs, references, strict=True))
    # a query is described as parameters: its struct is not a component, but the schemas that it refers to are
    query_of = {query: schemas.pop(_named(reference_of[query])) for query in _queries(ordered)}
    paths: Json = {}
    for route in ordered:
        path = paths.setdefault(placed(route, settings), _at_host(route, settings))
        path[route.method.lower()] = _operation(route, reference_of, query_of.get(route.query))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ostiary", "version": version},
        "servers": [{"url": settings.issuer}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted({**schemas, **_REFUSALS}.items())),
            "securitySchemes": _schemes(settings),
        },
    }


def _schemes(settings: Settings) -> Json:
    names = cookie_names(settings.issuer)
    return {
        "accessCookie": {"type": "apiKey", "in": "cookie", "name": names.access},
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "client": {"type": "http", "scheme": "basic"},
        "refreshCookie": {"type": "apiKey", "in": "cookie", "name": names.refresh},
    }


def _at_host(route: Route, settings: Settings) -> Json:
    """A path item relative to the host, not to an issuer with a path."""
    has_path = urllib.parse.urlsplit(settings.issuer).path
    return {"servers": [{"url": settings.issuer_origin}]} if has_path and route.path.startswith(WELL_KNOWN) else {}


def _structs(routes: Sequence[Route]) -> list[Struct]:
    """Every struct that is read or written, without duplicates."""
    bodies = [route.body for route in routes if route.body is not Empty]
    answers = [body for route in routes for body in route.answers.values() if body is not None and body not in _NO_JSON]
    return list(dict.fromkeys([*bodies, *answers, *_queries(routes)]))


def _queries(routes: Sequence[Route]) -> list[Struct]:
    return list(dict.fromkeys(route.query for route in routes if route.query is not Empty))


def _named(reference: Json) -> str:
    name: str = reference["$ref"].rpartition("/")[2]
    return name


def _operation(route: Route, reference_of: References, query: Json | None) -> Json:
    operation: Json = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [_tag(route)],
        "security": _security(route),
    }
    if parameters := [*_path_parameters(route), *(_query_parameters(query) if query else ())]:
        operation["parameters"] = parameters
    if route.body is not Empty:
        operation["requestBody"] = _request_body(route, reference_of)
    operation["responses"] = {**_answers(route, reference_of), **_refusals(route)}
    return operation


def _security(route: Route) -> list[Json]:
    """Any one of the schemes is enough. The empty one stands for a token or a client secret in the body."""
    schemes = _SECURITY[route.credential]
    return schemes if route.method != "GET" else [scheme for scheme in schemes if scheme]


def _path_parameters(route: Route) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in PARAMETER.findall(route.path)
    ]


def _query_parameters(query: Json) -> list[Json]:
    return [
        {"name": name, "in": "query", "required": name in query["required"], "schema": _of_text(schema)}
        for name, schema in query["properties"].items()
    ]


def _of_text(schema: Json) -> Json:
    """The schema without null: a parameter without a value is omitted instead."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    return options[0] if len(options) == 1 else schema


def _request_body(route: Route, reference_of: References) -> Json:
    media = MEDIA if route.speaks is Speaks.OAUTH else (Media.JSON,)
    schema = reference_of[route.body]
    if route.credential is Credential.CLIENT:
        schema = {"allOf": [schema, _CLIENT_IN_BODY]}
    return {
        "required": any(field.required for field in msgspec.structs.fields(route.body)),
        "content": {each.value.decode(): {"schema": schema} for each in media},
    }


def _operation_id(route: Route) -> str:
    """``DELETE /sessions/{id}`` → ``delete_sessions_by_id``."""
    named = PARAMETER.sub(r"by \1", route.path)
    return "_".join(re.findall(r"[a-z0-9]+", f"{route.method} {named}".lower()))


def _tag(route: Route) -> str:
    """The slice, which is the first part of the path."""
    if route.place is Place.ROOT:
        return "discovery" if route.path.startswith(WELL_KNOWN) else "health"
    return re.split(r"[/.]", route.path)[1]


def _answers(route: Route, reference_of: References) -> Json:
    return {str(status): _answer(status, body, reference_of) for status, body in sorted(route.answers.items())}


def _answer(status: int, body: Struct | None, reference_of: References) -> Json:
    described: Json = {"description": HTTPStatus(status).phrase}
    if body is Page:
        described["content"] = {"text/html": {"schema": {"type": "string"}}}
    elif body is SignedText:
        described["content"] = {"application/*": {"schema": {"type": "string"}}}
    elif body is not None:
        described["content"] = {"application/json": {"schema": reference_of[body]}}
    return described


def _refusals(route: Route) -> Json:
    told_as: dict[int, dict[str, list[str]]] = {}
    for error in errors_of(route):
        status, code = told(error) if route.speaks is Speaks.OAUTH else (error.status, error.code)
        told_as.setdefault(status, {}).setdefault(code, []).append(error.title)
    return {str(status): _refusal(status, told_as[status], route.speaks) for status in sorted(told_as)}


def _refusal(status: int, titles_of: Mapping[str, Sequence[str]], speaks: Speaks) -> Json:
    codes = sorted(titles_of)
    media, name = "application/problem+json", "Problem"
    said: Json = {"status": {"const": status}, "code": {"enum": codes}}
    if speaks is Speaks.OAUTH:
        media, name, said = "application/json", "OAuthError", {"error": {"enum": codes}}
    described: Json = {
        "description": " ".join(dict.fromkeys(title for code in codes for title in titles_of[code])),
        "content": {media: {"schema": {"allOf": [{"$ref": _REFERENCE.format(name=name)}, {"properties": said}]}}},
    }
    if header := _HEADER_OF_STATUS.get(status):
        described["headers"] = header
    return described
