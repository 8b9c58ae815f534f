"""TOTP: a second factor from an authenticator app, and recovery codes for when the app is lost.

Owns the tables ``totp_secrets`` and ``totp_recovery_codes``. It proves a factor and does not decide what comes next.
Knows neither other factors nor HTTP.
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
