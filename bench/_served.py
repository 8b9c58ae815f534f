"""The app that `refresh.py` loads: Ostiary, and the same route without the database behind the same HTTP layer."""

import dataclasses
from typing import Any

from ostiary import Ostiary
from ostiary.core.plug import Answer, Call, Mail
from ostiary.core.tokens.model import Granted
from ostiary.core.tokens.refresh_token import new_token
from ostiary.core.tokens.rotation import refresh
from ostiary.core.tokens.routes import ROUTES, Refresh, hand_out
from ostiary.settings import RegistrationSettings, SessionSettings, SignInSettings
from ostiary.web import application


class Nowhere:
    """Discards the mails about new devices. Printing them would be slower than what is measured."""

    async def send(self, mail: Mail) -> None:
        pass


UNLIMITED = "1000000/second"

auth = Ostiary(
    None,
    SignInSettings(limit=UNLIMITED, account_limit=UNLIMITED),
    RegistrationSettings(limit=UNLIMITED, daily_limit=UNLIMITED),
    SessionSettings(refresh_limit=UNLIMITED),
    mail=Nowhere(),
)
_real = auth.asgi
_granted: list[Granted] = []


async def _refresh_from_memory(call: Call[Refresh]) -> Answer:
    """Parses the request, creates an opaque token, signs an access token and responds. Only the rows are left out."""
    if not _granted:
        _granted.append(await _somebody(call))
    granted = _granted[0]
    fresh = new_token(call.ambient.vault, granted.session.id, 1, call.ambient.random).text
    return hand_out(call.ambient, dataclasses.replace(granted, refresh_token=fresh), transport=call.transport)


async def _somebody(call: Call[Refresh]) -> Granted:
    return await refresh(call.ambient, call.actor, call.refresh_token or "")


_refresh = next(route for route in ROUTES if route.path == "/refresh")
_plain = application(
    [dataclasses.replace(_refresh, handler=_refresh_from_memory)],
    settings=dataclasses.replace(auth.settings, prefix="/plain"),
    ambient=lambda: auth.ambient,
    alone=False,
)


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http" and scope["path"].startswith("/plain"):
        await _plain(scope, receive, send)
    else:
        await _real(scope, receive, send)
