"""The edge's own routes: the OpenAPI document, liveness and readiness."""

import functools
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ostiary._version import __version__
from ostiary.core.clock import MICROSECONDS
from ostiary.core.issuer import refuse_another
from ostiary.core.plug import PUBLIC, Answer, Call, Credential, Csrf, Empty, Place, Policy, Route, Speaks, Unlimited
from ostiary.core.settings import Settings
from ostiary.errors import ConfigurationError, NotReady, StoreUnavailable
from ostiary.web.openapi import document

_LARGEST_CLOCK_ERROR: Final = MICROSECONDS
"""One second. With a larger error, nodes would disagree about what has expired."""


class Document(msgspec.Struct, frozen=True):
    """An OpenAPI document."""

    openapi: str
    info: dict[str, Any]
    servers: list[dict[str, Any]]
    paths: dict[str, Any]
    components: dict[str, Any]


class Alive(msgspec.Struct, frozen=True):
    status: str = "alive"


class Ready(msgspec.Struct, frozen=True):
    status: str = "ready"


def with_own(routes: Sequence[Route], *, settings: Settings, alone: bool) -> tuple[Route, ...]:
    """The routes of the slices and of the edge. If Ostiary is embedded, the probes are left to the app."""

    @functools.cache
    def described() -> Document:
        return msgspec.convert(document(everything, settings=settings, version=__version__), Document)

    async def describe(_call: Call[Empty]) -> Answer:
        return Answer(200, described())

    description = Route(
        method="GET",
        place=Place.PREFIX,
        path="/openapi.json",
        summary="This document",
        policy=PUBLIC,
        handler=describe,
        body=Empty,
        query=Empty,
        answers={200: Document},
        errors=(),
    )
    everything = (*routes, description, *(PROBES if alone else ()))
    return everything


async def alive(_call: Call[Empty]) -> Answer:
    """Checks nothing: restarting a process does not help when its database is unavailable."""
    return Answer(200, Alive())


async def ready(call: Call[Empty]) -> Answer:
    ambient = call.ambient
    try:
        ahead = await ambient.database.now() - ambient.now()
        await ambient.database.check_writes()
        await refuse_another(ambient.database, ambient.settings.issuer)
    except StoreUnavailable as problem:
        raise NotReady("database") from problem
    except ConfigurationError as problem:
        raise NotReady("issuer") from problem
    if abs(ahead) > _LARGEST_CLOCK_ERROR:
        raise NotReady("clock")
    if not ambient.revocations.is_fresh:
        raise NotReady("revocations")
    return Answer(200, Ready())


PROBES: Final = (
    Route(
        method="GET",
        place=Place.ROOT,
        path="/healthz",
        summary="Whether the process is alive",
        policy=Policy(
            speaks=Speaks.JSON, credential=Credential.NONE, csrf=Csrf.SAFE, limit=Unlimited(because="it does no work")
        ),
        handler=alive,
        body=Empty,
        query=Empty,
        answers={200: Alive},
        errors=(),
    ),
    Route(
        method="GET",
        place=Place.ROOT,
        path="/readyz",
        summary="Whether the process can serve: database reachable and writable, clock right, revocations known",
        policy=Policy(
            speaks=Speaks.JSON,
            credential=Credential.NONE,
            csrf=Csrf.SAFE,
            limit=Unlimited(because="it costs one small read, and load balancers call it often"),
        ),
        handler=ready,
        body=Empty,
        query=Empty,
        answers={200: Ready},
        errors=(NotReady,),
    ),
)
