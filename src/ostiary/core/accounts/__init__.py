"""Accounts: who exists, under which address, with which password hash, roles and epoch.

Owns registration, the password policy, roles and everything that raises an account's epoch. Knows nothing of sessions
and tokens: raising the epoch is what makes them invalid.
"""

from ostiary.core.accounts import queries, routes
from ostiary.core.plug import Feature
from ostiary.store.migrations import Migrations

feature = Feature(
    name="accounts",
    routes=routes.ROUTES,
    migrations=Migrations.of("accounts", package=__name__),
    sweep=queries.delete_expired_registrations,
)
