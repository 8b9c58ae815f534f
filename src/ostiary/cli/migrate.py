"""`ostiary migrate`."""

from typing import Annotated

from cyclopts import Parameter

from ostiary.cli.operator import operator
from ostiary.cli.options import Options
from ostiary.cli.output import print_json, print_lines


async def migrate(*, new_issuer: Annotated[bool, Parameter(negative=())] = False, options: Options = Options()) -> None:
    """Apply all pending database migrations.

    You can run this while servers are running, and from several machines at the same time.

    Args:
        new_issuer: Also move the database to the configured issuer, and sign everybody out. Stop all servers first.
    """
    installation = options.installation()
    applied = await installation.migrate()
    if new_issuer:
        async with installation.with_any_issuer().opened():
            await installation.move_to_issuer(operator())
    if options.json:
        print_json({"applied": applied} | ({"issuer": installation.settings.issuer} if new_issuer else {}))
        return
    print_lines([f"applied {name}" for name in applied] or ["nothing to apply: the database is up to date"])
    if new_issuer:
        print_lines([f"the issuer is {installation.settings.issuer}; everybody is signed out"])
