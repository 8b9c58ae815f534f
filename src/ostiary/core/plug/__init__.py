"""The plug: what a slice states about itself, and what it is given.

A slice states `Route`, `Check` and `Factor` and exports one `Feature`; it is given an `Ambient` and, for each request,
a `Call`. This folder knows no slice, no HTTP library and no SQL.
"""

from ostiary.core.plug.actor import Actor, ActorKind, Source
from ostiary.core.plug.ambient import Ambient, Keys, Mail, Post, StatusLists
from ostiary.core.plug.clients import Client, Clients
from ostiary.core.plug.feature import Feature
from ostiary.core.plug.limit import count
from ostiary.core.plug.route import (
    Answer,
    Call,
    CookieRole,
    Credential,
    Csrf,
    Empty,
    InChecks,
    Limit,
    Page,
    PerSource,
    Place,
    Route,
    SetCookie,
    SignedText,
    Speaks,
    Transport,
    Unlimited,
)
from ostiary.core.plug.sign_in import Attempt, Check, Factor, FactorBody, Outcome, Proof

__all__ = [
    "Actor",
    "ActorKind",
    "Ambient",
    "Answer",
    "Attempt",
    "Call",
    "Check",
    "Client",
    "Clients",
    "CookieRole",
    "Credential",
    "Csrf",
    "Empty",
    "Factor",
    "FactorBody",
    "Feature",
    "InChecks",
    "Keys",
    "Limit",
    "Mail",
    "Outcome",
    "Page",
    "PerSource",
    "Place",
    "Post",
    "Proof",
    "Route",
    "SetCookie",
    "SignedText",
    "Source",
    "Speaks",
    "StatusLists",
    "Transport",
    "Unlimited",
    "count",
]
