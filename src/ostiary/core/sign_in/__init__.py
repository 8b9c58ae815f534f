"""Sign-in: which proofs an account must show, in which order, until a session is issued.

Owns the dispatcher table, the password factor, the attempts under way and the limit per source. Knows no other factor:
those are plugged in, and neither call each other nor decide what comes next.
"""

from ostiary.core.plug import Feature
from ostiary.core.sign_in import queries, routes
from ostiary.core.sign_in.limits import SourceLimit
from ostiary.store.migrations import Migrations

feature = Feature(
    name="sign_in",
    routes=routes.ROUTES,
    checks=(SourceLimit(),),
    migrations=Migrations.of("sign_in", package=__name__),
    sweep=queries.delete_expired,
)
