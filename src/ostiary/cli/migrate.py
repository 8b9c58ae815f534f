"""`ostiary migrate`."""

from ostiary.cli.options import Options
from ostiary.cli.output import print_json, print_lines


async def migrate(*, options: Options = Options()) -> None:
    """Apply all pending database migrations.

    You can run this while servers are running, and from several machines at the same time.
    """
    applied = await options.installation().migrate()
    if options.json:
        print_json({"applied": applied})
    else:
        print_lines([f"applied {name}" for name in applied] or ["nothing to apply: the database is up to date"])
