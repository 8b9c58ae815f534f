"""A slice, as the assembler sees it."""

from dataclasses import dataclass

from ostiary.core.plug.route import Route
from ostiary.core.plug.sign_in import Check, Factor
from ostiary.store.migrations import Migrations


@dataclass(frozen=True, kw_only=True, slots=True)
class Feature:
    """The only export of a slice's folder. ``migrations`` are applied in the order in which slices are listed."""

    name: str
    routes: tuple[Route, ...] = ()
    factors: tuple[Factor, ...] = ()
    checks: tuple[Check, ...] = ()
    migrations: Migrations | None = None
