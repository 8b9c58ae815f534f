"""Sessions: one sign-in of one account, from its first token to its end.

Owns the session row, which is the lock for everything that happens in the session. Knows nothing of token formats.
"""

from ostiary.core.plug import Feature
from ostiary.core.sessions import routes
from ostiary.store.migrations import Migrations

feature = Feature(
    name="sessions",
    routes=routes.ROUTES,
    migrations=Migrations.of("sessions", package=__name__),
)
