"""Tokens: issuing tokens for a session, rotating refresh tokens, and the signing keys.

Owns the tables ``spent_refresh_tokens``, ``refresh_tokens`` (the former format), ``signing_keys`` and those of status
lists. Does not depend on how the user signed in.
"""

from ostiary.core.plug import Feature
from ostiary.core.tokens import routes
from ostiary.core.tokens.keys.service import rewrap
from ostiary.core.tokens.queries import forget_spent
from ostiary.core.tokens.settings import KeySettings, TokenSettings
from ostiary.core.tokens.status import routes as status_routes
from ostiary.core.tokens.sweep import sweep
from ostiary.store.migrations import Migrations

feature = Feature(
    name="tokens",
    events=(
        "tokens.refresh_repeated",
        "tokens.refresh_token_reused",
        "tokens.store_behind",
        "tokens.revoked",
        "keys.created",
        "keys.activated",
        "keys.retired",
        "keys.removed",
        "keys.rotation_requested",
        "keys.revoked",
        "keys.all_revoked",
        "keys.rewrapped",
        "installation.restored",
        "installation.issuer_changed",
    ),
    settings=(TokenSettings, KeySettings),
    routes=(*routes.ROUTES, *status_routes.ROUTES),
    migrations=Migrations.of("tokens", package=__name__),
    sweep=sweep,
    rewrap=rewrap,
    ending=forget_spent,
)
