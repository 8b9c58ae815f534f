"""`ostiary migrate`."""

from typing import Annotated

from cyclopts import Parameter

from ostiary.app import Ostiary
from ostiary.cli.confirm import confirm
from ostiary.cli.operator import operator
from ostiary.cli.options import Options, has_default_issuer
from ostiary.cli.output import print_json, print_lines
from ostiary.core.issuer import recorded
from ostiary.errors import ConfigurationError


async def migrate(
    *,
    new_issuer: Annotated[bool, Parameter(negative=())] = False,
    yes: Annotated[bool, Parameter(negative=())] = False,
    options: Options = Options(),
) -> None:
    """Apply all pending database migrations.

    You can run this while servers are running, and from several machines at the same time.

    Args:
        new_issuer: Also move the database to the configured issuer, and sign everybody out. Stop all servers first.
        yes: Do not ask.
    """
    installation = options.installation()
    if new_issuer and has_default_issuer(installation):
        raise ConfigurationError("--new-issuer needs the new issuer: set OSTIARY_ISSUER")
    applied = await installation.migrate()
    moved = await _move(installation, yes=yes) if new_issuer else None
    if options.json:
        print_json({"applied": applied} | ({"issuer": installation.settings.issuer} if new_issuer else {}))
        return
    print_lines([f"applied {name}" for name in applied] or ["nothing to apply: the database is up to date"])
    if moved is not None:
        print_lines([moved])


async def _move(installation: Ostiary, *, yes: bool) -> str:
    new = installation.settings.issuer
    async with installation.with_any_issuer().opened():
        old = await recorded(installation.ambient.database)
        if old == new:
            return f"the issuer is {new} already; nothing has changed"
        confirm(f"this moves the database from {old or 'no issuer'} to {new} and signs everybody out", yes=yes)
        await installation.move_to_issuer(operator())
    return f"the issuer is {new}; everybody is signed out"
