"""Devices: what users sign in from, recognised by a random token.

Owns the table ``devices``, the mail about a new device with its sign-out link, and the routes under ``/devices``.
Provides the names of devices to `sessions`. Does not depend on how the user signed in.
"""

from ostiary.core.devices import routes
from ostiary.core.devices.queries import names
from ostiary.core.devices.service import sweep
from ostiary.core.plug import Feature
from ostiary.store.migrations import Migrations

feature = Feature(
    name="devices",
    events=(
        "devices.added",
        "devices.forgotten",
        "devices.disowned",
    ),
    routes=routes.ROUTES,
    migrations=Migrations.of("devices", package=__name__),
    sweep=sweep,
    device_names=names,
)
