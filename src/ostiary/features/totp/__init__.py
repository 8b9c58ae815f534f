"""TOTP: a second factor from an authenticator app, and the recovery codes that replace a lost one.

Owns the tables ``totp_secrets`` and ``totp_recovery_codes``. Proves, and is never asked what comes next; knows neither
other factors nor HTTP.
"""

from ostiary.core.plug import Feature
from ostiary.features.totp import queries, routes
from ostiary.features.totp.factors import RecoveryCode, Totp, rewrap
from ostiary.features.totp.limits import AccountLimit
from ostiary.features.totp.settings import TotpSettings
from ostiary.store.migrations import Migrations

feature = Feature(
    name="totp",
    events=("totp.enrolled", "totp.confirmed", "totp.removed", "totp.recovery_code_used"),
    settings=(TotpSettings,),
    routes=routes.ROUTES,
    factors=(Totp(), RecoveryCode()),
    checks=(AccountLimit(),),
    migrations=Migrations.of("totp", package=__name__),
    sweep=queries.delete_expired,
    rewrap=rewrap,
)
