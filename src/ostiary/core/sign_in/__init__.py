"""Sign-in: which proofs an account needs, and in which order, until a session is issued.

Owns the dispatcher table, the password factor, the open attempts and the limit per source. Does not depend on any other
factor: those are plugged in. Factors neither call each other nor decide what comes next.
"""

from ostiary.core.plug import Feature
from ostiary.core.sign_in import queries, routes
from ostiary.core.sign_in.limits import SourceLimit
from ostiary.core.sign_in.settings import SignInSettings
from ostiary.store.migrations import Migrations

feature = Feature(
    name="sign_in",
    events=(
        "sign_in.succeeded",
        "sign_in.continued",
        "sign_in.failed",
        "sign_in.refused",
        "accounts.password_changed",
        "accounts.password_change_failed",
    ),
    settings=(SignInSettings,),
    routes=routes.ROUTES,
    checks=(SourceLimit(),),
    migrations=Migrations.of("sign_in", package=__name__),
    sweep=queries.delete_expired,
)
