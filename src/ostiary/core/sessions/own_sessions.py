"""GET and DELETE /auth/sessions. The devices slice provides the device names."""

from datetime import datetime
from typing import Final

import msgspec

from ostiary.core.clock import moment
from ostiary.core.plug import (
    OWN_READ,
    OWN_WRITE,
    Answer,
    Call,
    Empty,
    Place,
    Route,
)
from ostiary.core.sessions.answers import signed_out
from ostiary.core.sessions.model import Listed
from ostiary.core.sessions.queries import live_of
from ostiary.core.sessions.service import end_own, sign_out_everywhere
from ostiary.errors import Forbidden, NotFound


class OfDevice(msgspec.Struct, frozen=True):
    id: str
    name: str


class OwnSession(msgspec.Struct, frozen=True):
    """``device_name`` is the name that the client chose at sign-in. ``last_seen`` is the latest refresh. ``ip`` and
    ``user_agent`` are those of the sign-in."""

    id: str
    device: OfDevice | None
    device_name: str | None
    ip: str
    user_agent: str
    created_at: datetime
    last_seen: datetime
    expires_at: datetime
    current: bool


class OwnSessions(msgspec.Struct, frozen=True):
    sessions: tuple[OwnSession, ...]


async def sessions(call: Call[Empty]) -> Answer:
    database, caller = call.ambient.database, call.me
    names: dict[str, str] = {}
    for names_of in call.ambient.device_names:
        names |= await names_of(database, caller.account_id)
    live = await live_of(database, caller.account_id, now=call.ambient.now())
    newest_first = sorted(live, key=lambda listed: listed.session.created_at, reverse=True)
    return Answer(200, OwnSessions(tuple(_shown(each, names, current=caller.session_id) for each in newest_first)))


async def end(call: Call[Empty]) -> Answer:
    session_id = call.path["id"]
    await end_own(call.ambient, call.actor, session_id)
    return signed_out(call) if session_id == call.me.session_id else Answer(204)


async def end_all(call: Call[Empty]) -> Answer:
    await sign_out_everywhere(call.ambient, call.actor, call.me.account_id)
    return signed_out(call)


def _shown(listed: Listed, names: dict[str, str], *, current: str) -> OwnSession:
    session = listed.session
    device_id = session.device_id
    return OwnSession(
        id=session.id,
        device=OfDevice(device_id, names[device_id]) if device_id in names else None,
        device_name=session.device_name,
        ip=listed.source,
        user_agent=listed.user_agent,
        created_at=moment(session.created_at),
        last_seen=moment(listed.last_seen_at),
        expires_at=moment(session.expires_at),
        current=session.id == current,
    )


ROUTES: Final = (
    Route(
        method="GET",
        place=Place.PREFIX,
        path="/sessions",
        summary="List my sessions",
        policy=OWN_READ,
        handler=sessions,
        body=Empty,
        query=Empty,
        answers={200: OwnSessions},
        errors=(),
    ),
    Route(
        method="DELETE",
        place=Place.PREFIX,
        path="/sessions",
        summary="Sign me out everywhere",
        policy=OWN_WRITE,
        handler=end_all,
        body=Empty,
        query=Empty,
        answers={204: None},
        errors=(NotFound, Forbidden),
    ),
    Route(
        method="DELETE",
        place=Place.PREFIX,
        path="/sessions/{id}",
        summary="End one of my sessions",
        policy=OWN_WRITE,
        handler=end,
        body=Empty,
        query=Empty,
        answers={204: None},
        errors=(NotFound,),
    ),
)
