"""A slice, as the assembly code sees it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from ostiary.core.plug.ambient import Ambient, DeviceNames, Ending
from ostiary.core.plug.profile import Profile
from ostiary.core.plug.route import Route
from ostiary.core.plug.sign_in import Check, Factor
from ostiary.core.settings import Section
from ostiary.core.vault import Vault
from ostiary.store.database import Transaction
from ostiary.store.migrations import Migrations

Sweep: TypeAlias = Callable[[Transaction, int], Awaitable[int]]
"""Deletes a batch of rows that have expired by the given time (microseconds) and returns how many. No statement may
delete more than `SWEEP_ROWS` rows, including cascades. It is called again until a batch is smaller than that. Several
processes may run it at once.
"""

Rewrap: TypeAlias = Callable[[Vault, Transaction], Awaitable[int]]
"""Seals values of this slice again with the newest master secret if an older one sealed them, a few hundred at a time.
Returns how many, or 0 when none is left."""


ProfileRoutes: TypeAlias = Callable[[Profile[Any] | None], tuple[Route, ...]]
"""Routes whose body or response contains the application's own account fields, if it has any."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Feature:
    """The only export of a slice's folder.

    ``migrations`` are applied in the order in which slices are listed. ``sweep`` runs regularly, later slices first,
    because their rows refer to rows of earlier ones. A slice that seals values provides ``rewrap``. A slice that keeps
    data only while a session is alive provides ``ending``. The devices slice provides ``device_names``. ``events`` are
    the types of all audit events that the slice records. ``profile_routes`` are created per installation.
    """

    name: str
    settings: tuple[type[Section], ...] = ()
    routes: tuple[Route, ...] = ()
    profile_routes: ProfileRoutes | None = None
    events: tuple[str, ...] = ()
    factors: tuple[Factor[Ambient], ...] = ()
    checks: tuple[Check[Ambient], ...] = ()
    migrations: Migrations | None = None
    sweep: Sweep | None = None
    rewrap: Rewrap | None = None
    ending: Ending | None = None
    device_names: DeviceNames | None = None
