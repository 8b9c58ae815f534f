"""Devices: what an account signs in from, recognised by a random token; and what its owner sees of them and sessions.

Owns the table ``devices``, the mail about a new one with the link that forgets it, and the routes under ``/devices``
and ``/sessions``: a session is shown with its device, which `sessions` does not know. Knows nothing of how somebody
signed in.
"""

from ostiary.core.devices import own_sessions, routes
from ostiary.core.devices.service import sweep
from ostiary.core.plug import Feature
from ostiary.store.migrations import Migrations

feature = Feature(
    name="devices",
    routes=(*own_sessions.ROUTES, *routes.ROUTES),
    migrations=Migrations.of("devices", package=__name__),
    sweep=sweep,
)
