"""Accounts: their addresses, password hashes, roles and epochs.

Owns registration, the password policy, roles and everything that raises the epoch of an account. Does not depend on
sessions and tokens: raising the epoch makes them invalid.
"""

from ostiary.core.accounts import queries, routes
from ostiary.core.accounts.settings import AccountSettings, RegistrationSettings
from ostiary.core.plug import Feature
from ostiary.store.migrations import Migrations

feature = Feature(
    name="accounts",
    events=(
        "accounts.registration_started",
        "accounts.registered",
        "accounts.created",
        "accounts.roles_changed",
        "accounts.disabled",
        "accounts.enabled",
        "accounts.profile_changed",
    ),
    settings=(AccountSettings, RegistrationSettings),
    routes=routes.ROUTES,
    profile_routes=routes.routes_for,
    migrations=Migrations.of("accounts", package=__name__),
    sweep=queries.delete_expired_registrations,
)
