"""A slice, as the assembler sees it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from ostiary.core.plug.route import Route
from ostiary.core.plug.sign_in import Check, Factor
from ostiary.core.vault import Vault
from ostiary.store.database import Transaction
from ostiary.store.migrations import Migrations

Sweep: TypeAlias = Callable[[Transaction, int], Awaitable[int]]
"""Removes some of what has expired by the given time (microseconds), no statement more than `SWEEP_ROWS` rows, what
cascades included, and returns how many. It is called again until they are fewer. Several processes may run it at once.
"""

Rewrap: TypeAlias = Callable[[Vault, Transaction], Awaitable[int]]
"""Seals values of this slice that an older master secret has sealed with the newest one, some hundred at a time, and
returns how many; 0 when none is left."""

Ending: TypeAlias = Callable[[Transaction, str], Awaitable[None]]
"""Removes what this slice keeps for a session that has ended, in the transaction that ends it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Feature:
    """The only export of a slice's folder. ``migrations`` are applied in the order in which slices are listed;
    ``sweep`` runs now and then, those of later slices first: their rows refer to those of earlier ones. A slice that
    seals states ``rewrap``, and one that keeps something only as long as a session lives, ``ending``."""

    name: str
    routes: tuple[Route, ...] = ()
    factors: tuple[Factor, ...] = ()
    checks: tuple[Check, ...] = ()
    migrations: Migrations | None = None
    sweep: Sweep | None = None
    rewrap: Rewrap | None = None
    ending: Ending | None = None
