"""Clients: services that authenticate in their own name, and the resources that access tokens are issued for.

Owns the tables ``clients`` and ``client_resources``. Knows nothing of tokens: what a client may do is decided by
whoever asks.
"""

from ostiary.core.plug import Feature
from ostiary.store.migrations import Migrations

feature = Feature(name="clients", migrations=Migrations.of("clients", package=__name__))
