"""Service clients, and the resources that access tokens can be issued for.

Owns the tables ``clients`` and ``client_resources``. Does not depend on tokens: the calling code decides what a client
may do.
"""

from ostiary.core.plug import Feature
from ostiary.store.migrations import Migrations

feature = Feature(
    name="clients",
    events=(
        "clients.created",
        "clients.rotated",
        "clients.deleted",
    ),
    migrations=Migrations.of("clients", package=__name__),
)
