"""GET and DELETE /auth/devices, and the page that the mail about a new device links to."""

import base64
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from ostiary.core.clock import moment
from ostiary.core.devices import queries, service
from ostiary.core.devices.model import Device
from ostiary.core.mail import render_page
from ostiary.core.plug import (
    OWN_READ,
    OWN_WRITE,
    PAGE,
    Answer,
    Call,
    CookieRole,
    Credential,
    Csrf,
    Empty,
    Page,
    Place,
    Policy,
    Route,
    Speaks,
    Unlimited,
)
from ostiary.core.sessions.answers import signed_out
from ostiary.core.sessions.model import Listed
from ostiary.core.sessions.queries import by_id, live_of
from ostiary.errors import Forbidden, InvalidToken, NotFound

_NONCE_SIZE: Final = 16


class OwnDevice(msgspec.Struct, frozen=True):
    """``last_seen`` is the latest sign-in from the device or the latest refresh of one of its live sessions. ``ip`` is
    the address of the latest sign-in."""

    id: str
    name: str
    ip: str
    first_seen: datetime
    last_seen: datetime
    current: bool


class OwnDevices(msgspec.Struct, frozen=True):
    devices: tuple[OwnDevice, ...]


class Disown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: str


async def devices(call: Call[Empty]) -> Answer:
    ambient, caller = call.ambient, call.me
    known = await queries.of_account(ambient.database, caller.account_id)
    sessions = defaultdict[str | None, list[Listed]](list)
    for listed in await live_of(ambient.database, caller.account_id, now=ambient.now()):
        sessions[listed.session.device_id].append(listed)
    shown = (_shown(device, sessions[device.id], current=caller.session_id) for device in known)
    return Answer(200, OwnDevices(tuple(shown)))


async def forget(call: Call[Empty]) -> Answer:
    caller, device_id = call.me, call.path["id"]
    session = await by_id(call.ambient.database, caller.session_id)
    await service.forget(call.ambient, call.actor, caller.account_id, device_id)
    if session is None or session.device_id != device_id:
        return Answer(204)
    return signed_out(call, also=(CookieRole.DEVICE,))


async def disown(call: Call[Disown]) -> Answer:
    await service.disown(call.ambient, call.actor, token=call.body.token)
    return Answer(204)


async def disowning_page(call: Call[Empty]) -> Answer:
    nonce = base64.b64encode(call.ambient.random.token(_NONCE_SIZE)).decode()
    html = render_page(__package__, "disown.html", nonce=nonce, host=call.ambient.settings.issuer_host)
    return Answer(200, Page(html=html, nonce=nonce))


def _shown(device: Device, sessions: Sequence[Listed], *, current: str) -> OwnDevice:
    return OwnDevice(
        id=device.id,
        name=device.name,
        ip=device.source,
        first_seen=moment(device.first_seen_at),
        last_seen=moment(max([device.last_seen_at, *(listed.last_seen_at for listed in sessions)])),
        current=any(listed.session.id == current for listed in sessions),
    )


ROUTES: Final = (
    Route(
        method="GET",
        place=Place.PREFIX,
        path="/devices",
        summary="List my devices",
        policy=OWN_READ,
        handler=devices,
        body=Empty,
        query=Empty,
        answers={200: OwnDevices},
        errors=(),
    ),
    Route(
        method="DELETE",
        place=Place.PREFIX,
        path="/devices/{id}",
        summary="Forget one of my devices and end its sessions",
        policy=OWN_WRITE,
        handler=forget,
        body=Empty,
        query=Empty,
        answers={204: None},
        errors=(NotFound, Forbidden),
    ),
    Route(
        method="POST",
        place=Place.PREFIX,
        path="/devices/disown",
        summary="Forget a new device with the token from the mail about it",
        policy=Policy(
            speaks=Speaks.JSON,
            credential=Credential.NONE,
            csrf=Csrf.SAME_ORIGIN,
            limit=Unlimited(because="a token has 256 random bits and a checksum; a wrong one costs a look-up"),
        ),
        handler=disown,
        body=Disown,
        query=Empty,
        answers={204: None},
        errors=(InvalidToken,),
    ),
    Route(
        method="GET",
        place=Place.PREFIX,
        path="/devices/disown",
        summary="The page that the mail about a new device links to",
        policy=PAGE,
        handler=disowning_page,
        body=Empty,
        query=Empty,
        answers={200: Page},
        errors=(),
    ),
)
