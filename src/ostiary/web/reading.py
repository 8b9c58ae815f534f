"""Readers for the query and the body of a route. They are prepared once and used for every request."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from starlette.types import Receive, Scope

from ostiary.core.plug import Empty, Route, Speaks
from ostiary.errors import InvalidBody, InvalidQuery, InvalidRequest
from ostiary.web.body import Media, fit, load, read
from ostiary.web.oauth import MEDIA, members
from ostiary.web.parameters import Texts, read_parameters

_LONGEST_QUERY: Final = 4096  # bytes: many times more than any of our routes needs


class Body(NamedTuple):
    struct: msgspec.Struct
    members: Mapping[str, Any]
    """Everything that was sent, by name. On routes that ignore unknown fields, it has more than the struct."""


ReadBody: TypeAlias = Callable[[Scope, Receive], Awaitable[Body]]
ReadQuery: TypeAlias = Callable[[Scope], msgspec.Struct]

_NOTHING: Final = Empty()
_NO_BODY: Final = Body(_NOTHING, {})


def query_reader(route: Route) -> ReadQuery:
    """Returns a reader that raises InvalidRequest and InvalidQuery. For `Empty` it ignores the query string: a token in
    it is not a credential, and a parameter that was added for something else is not an error.

    Raises:
        TypeError: the struct accepts unknown parameters, or has a field that cannot be converted from text.
    """
    if route.query is Empty:
        return _ignore_query
    _check_closed(route, route.query)
    texts = Texts(route.query, error=InvalidQuery, whole="the query")

    def read_query(scope: Scope) -> msgspec.Struct:
        query: bytes = scope.get("query_string", b"")
        if len(query) > _LONGEST_QUERY:
            raise InvalidRequest("the query string is too long")
        return texts.fit(read_parameters(query))

    return read_query


def _ignore_query(_scope: Scope) -> msgspec.Struct:
    return _NOTHING


def body_reader(route: Route, *, limit: int) -> ReadBody:
    """Returns a reader. For what it raises, see `ostiary.web.body` and `ostiary.web.oauth`.

    Raises:
        TypeError: the struct of a JSON body accepts unknown fields, or the struct of an OAuth body does not.
    """
    if route.method == "GET":
        return _ignore_body
    return (_oauth_reader if route.speaks is Speaks.OAUTH else _json_reader)(route, limit)


async def _ignore_body(_scope: Scope, _receive: Receive) -> Body:
    return _NO_BODY


def _json_reader(route: Route, limit: int) -> ReadBody:
    _check_closed(route, route.body)

    async def read_body(scope: Scope, receive: Receive) -> Body:
        _, data = await read(scope, receive, media=(Media.JSON,), limit=limit)
        value = load(data)
        return Body(fit(value, route.body), value)

    return read_body


def _oauth_reader(route: Route, limit: int) -> ReadBody:
    if route.body.__struct_config__.forbid_unknown_fields:
        raise TypeError(f"{route.path}: {route.body.__name__} must accept unknown parameters (RFC 6749 §3.2)")
    texts = Texts(route.body, error=InvalidBody, whole="the body")

    async def read_body(scope: Scope, receive: Receive) -> Body:
        media, data = await read(scope, receive, media=MEDIA, limit=limit)
        sent = members(media, data)
        return Body(texts.fit(sent) if media is Media.FORM else fit(sent, route.body), sent)

    return read_body


def _check_closed(route: Route, shape: type[msgspec.Struct]) -> None:
    """A struct that accepts unknown fields would silently drop a mistyped one and hide a mass assignment."""
    _, components = msgspec.json.schema_components((shape,))
    for name, schema in components.items():
        if "properties" in schema and schema.get("additionalProperties") is not False:
            raise TypeError(f"{route.path}: {name} must be declared with forbid_unknown_fields")
