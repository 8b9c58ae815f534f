"""The plug: the interface between a slice and the rest of Ostiary.

A slice declares `Route`, `Check` and `Factor` objects and exports one `Feature`. It gets an `Ambient` and, for each
request, a `Call`. This folder does not depend on any slice, HTTP library or SQL.
"""

from typing import TypeAlias

from ostiary.core.plug.actor import FIRST_PARTY, Actor, ActorKind, Source
from ostiary.core.plug.ambient import Ambient, DeviceNames, Ending, Keys, StatusLists
from ostiary.core.plug.clients import Client, Clients
from ostiary.core.plug.feature import Feature
from ostiary.core.plug.limit import count
from ostiary.core.plug.mail import Mail, Post
from ostiary.core.plug.profile import WRITABLE, Profile, Unfit
from ostiary.core.plug.route import (
    OWN_READ,
    OWN_WRITE,
    PAGE,
    PUBLIC,
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
    Policy,
    Route,
    SetCookie,
    SignedText,
    Speaks,
    Transport,
    Unlimited,
)
from ostiary.core.plug.sign_in import Attempt, FactorBody, Outcome, Proof
from ostiary.core.plug.sign_in import Check as _Check
from ostiary.core.plug.sign_in import Factor as _Factor

Check: TypeAlias = _Check[Ambient]
Factor: TypeAlias = _Factor[Ambient]

__all__ = [
    "FIRST_PARTY",
    "OWN_READ",
    "OWN_WRITE",
    "PAGE",
    "PUBLIC",
    "WRITABLE",
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
    "DeviceNames",
    "Empty",
    "Ending",
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
    "Policy",
    "Post",
    "Profile",
    "Proof",
    "Route",
    "SetCookie",
    "SignedText",
    "Source",
    "Speaks",
    "StatusLists",
    "Transport",
    "Unfit",
    "Unlimited",
    "count",
]
