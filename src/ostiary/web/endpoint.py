"""Applies the policy of one route, in a fixed order. No route can skip a step."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec
from starlette.types import Receive, Scope

from ostiary.core.plug import (
    Ambient,
    Answer,
    Call,
    Client,
    Credential,
    Csrf,
    PerSource,
    Place,
    Route,
    Source,
    count,
)
from ostiary.core.settings import Settings
from ostiary.errors import CrossSiteRequest, InvalidClient
from ostiary.store.hot import Rate
from ostiary.verifier import Headers, Principal, check_same_origin
from ostiary.web.clients import read_client
from ostiary.web.credentials import READERS, Shown, read_device_token
from ostiary.web.edge import Edge
from ostiary.web.reading import Body, body_reader, query_reader

_LONGEST_USER_AGENT: Final = 256  # characters; it is stored with sessions and audit events, and shown

_ORIGIN_HEADERS: Final = frozenset({b"origin", b"sec-fetch-site"})


class Endpoint:
    """The steps are: rate limit, query, body, credentials, same origin, verification, handler. A step refuses by
    raising. Cheap steps come before expensive ones."""

    def __init__(self, route: Route, *, edge: Edge, settings: Settings) -> None:
        """Raises TypeError if the route's limit or body is invalid."""
        self.route: Final = route
        self._edge = edge
        self._rate = _rate_of(route, settings)
        self._read_query = query_reader(route)
        self._read_body = body_reader(route, limit=edge.body_limit)
        self._read_credentials = READERS[route.credential]
        self._knows_devices = "device_token" in route.body.__struct_fields__

    @property
    def is_public(self) -> bool:
        """Whether answers contain no personal data and may be cached. This is true for paths at the root, and for GET
        routes without a credential."""
        route = self.route
        return route.place is Place.ROOT or (route.method == "GET" and route.credential is Credential.NONE)

    async def answer(
        self,
        scope: Scope,
        receive: Receive,
        *,
        ambient: Ambient,
        path: Mapping[str, str],
        source: Source,
        request_id: str,
    ) -> Answer:
        """Returns the handler's answer. Errors of the steps and of the handler propagate."""
        await self._count(ambient, source)
        query, body = self._read_query(scope), await self._read_body(scope, receive)
        headers = scope["headers"]
        gone = partial(_hung_up, receive)
        call = self._call(
            headers, body.struct, query, ambient=ambient, path=path, source=source, request_id=request_id, gone=gone
        )
        if self.route.credential is Credential.CLIENT:
            call = msgspec.structs.replace(call, client=await _authenticated(ambient, headers, body))
        return self._checked(await self.route.handler(call), call)

    async def _count(self, ambient: Ambient, source: Source) -> None:
        if self._rate is None:
            return
        name, rate = self._rate
        await count(ambient, f"{name}:{source.bucket}", rate)

    def _call(
        self,
        headers: Headers,
        body: msgspec.Struct,
        query: msgspec.Struct,
        *,
        ambient: Ambient,
        path: Mapping[str, str],
        source: Source,
        request_id: str,
        gone: Callable[[], Awaitable[None]],
    ) -> Call[Any]:
        shown = self._read_credentials(headers, body, self._edge.cookies)
        wants_cookies = shown.in_cookie or getattr(body, "transport", None) == "cookie"
        must_be_ours = wants_cookies and self.route.csrf is Csrf.SAME_ORIGIN
        from_own_site = self._is_from_own_site(headers, must_be=must_be_ours)  # before anything is verified
        return Call(
            ambient=ambient,
            body=body,
            query=query,
            path=path,
            principal=_verified(ambient, shown) if self.route.credential is Credential.ACCESS else None,
            client=None,
            access_token=shown.access.token if shown.access else None,
            refresh_token=shown.refresh.token if shown.refresh else None,
            device_token=self._device_token(headers, body, with_cookies=wants_cookies),
            transport="cookie" if wants_cookies else "token",
            from_own_site=from_own_site,
            source=source,
            user_agent=_user_agent(headers),
            request_id=request_id,
            gone=gone,
            if_none_match=_if_none_match(headers) if self.route.method == "GET" else None,
        )

    def _device_token(self, headers: Headers, body: msgspec.Struct, *, with_cookies: bool) -> str | None:
        if not self._knows_devices:
            return None
        return read_device_token(headers, body, self._edge.cookies, with_cookies=with_cookies)

    def _is_from_own_site(self, headers: Headers, *, must_be: bool) -> bool:
        """Whether the request comes from our own site or a trusted origin.

        Raises:
            CrossSiteRequest: it ``must_be``, and comes from another site or does not say where it comes from.
        """
        if not must_be and not any(name in _ORIGIN_HEADERS for name, _ in headers):
            return False
        try:
            check_same_origin(headers, own_origins=self._edge.own_origins, trusted_origins=self._edge.trusted_origins)
        except CrossSiteRequest:
            if must_be:
                raise
            return False
        return True

    def _checked(self, answer: Answer, call: Call[Any]) -> Answer:
        """Raises TypeError for an answer that the route does not declare. The OpenAPI document would be wrong about it,
        so this is a bug in Ostiary, and the caller gets a 500."""
        stated = self.route.answers[answer.status]
        if not (answer.body is None if stated is None else isinstance(answer.body, stated)):
            raise TypeError(f"{self.route.path}: the route declares another body for {answer.status}")
        if answer.cookies and not call.from_own_site:
            raise CrossSiteRequest("the answer sets cookies, but the request did not come from our site")
        return answer


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # the rest of a body that is not read


def _verified(ambient: Ambient, shown: Shown) -> Principal | None:
    if shown.access is None:
        return None
    return Principal.of(ambient.verifier.verify(shown.access.token))


async def _authenticated(ambient: Ambient, headers: Headers, body: Body) -> Client:
    shown = read_client(headers, body.members)
    client = await ambient.clients.authenticate(shown.id, shown.secret)
    if client is None:
        raise InvalidClient("there is no client with this id and secret")
    return client


def _if_none_match(headers: Headers) -> str | None:
    """The If-None-Match header. Several header lines form one list (RFC 9110 §5.3)."""
    lines = [value.decode("latin-1") for name, value in headers if name == b"if-none-match"]
    return ", ".join(lines) if lines else None


def _user_agent(headers: Headers) -> str:
    """The User-Agent header, made safe to store and to show: printable and short."""
    for name, value in headers:
        if name == b"user-agent":
            text = value[:_LONGEST_USER_AGENT].decode("latin-1")
            return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)
    return ""


def _rate_of(route: Route, settings: Settings) -> tuple[str, Rate] | None:
    if not isinstance(route.limit, PerSource):
        return None
    rate = getattr(settings.of(route.limit.section), route.limit.field, None)
    if not isinstance(rate, Rate):
        raise TypeError(f"{route.path}: the setting {route.limit.name} is not a rate")
    return route.limit.name, rate
