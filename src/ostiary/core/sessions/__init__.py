"""Sessions: one sign-in of one account, from its first token to its end.

Owns the session row, which is the lock for everything that happens in the session. Does not depend on token formats.
"""

from ostiary.core.plug import Feature
from ostiary.core.sessions import own_sessions, routes
from ostiary.core.sessions.settings import SessionSettings
from ostiary.store.migrations import Migrations

feature = Feature(
    name="sessions",
    events=(
        "sessions.ended",
        "sessions.ended_all",
        "sessions.ended_everybodys",
    ),
    settings=(SessionSettings,),
    routes=own_sessions.ROUTES,
    profile_routes=routes.routes_for,
    migrations=Migrations.of("sessions", package=__name__),
)
