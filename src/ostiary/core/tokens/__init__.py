"""Tokens: what is issued for a session, how a refresh token rotates, and the keys that sign.

Owns the tables ``refresh_tokens``, ``signing_keys`` and those of status lists. Knows nothing of how somebody signed in.
"""

from ostiary.core.plug import Feature
from ostiary.core.tokens import routes
from ostiary.core.tokens.keys.service import rewrap
from ostiary.core.tokens.queries import forget_successors
from ostiary.core.tokens.status import routes as status_routes
from ostiary.core.tokens.sweep import sweep
from ostiary.store.migrations import Migrations

feature = Feature(
    name="tokens",
    routes=(*routes.ROUTES, *status_routes.ROUTES),
    migrations=Migrations.of("tokens", package=__name__),
    sweep=sweep,
    rewrap=rewrap,
    ending=forget_successors,
)
