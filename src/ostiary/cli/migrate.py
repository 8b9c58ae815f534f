"""`ostiary migrate`."""

from ostiary.cli.options import Options
from ostiary.cli.output import print_json, print_lines
from ostiary.core.secret import load_secrets
from ostiary.store.open import sqlite_path


async def migrate(*, options: Options = Options()) -> None:
    """Bring the database's tables up to date.

    May be run while servers run, and by several at once.
    """
    installation = options.installation()
    settings = installation.settings
    if (path := sqlite_path(settings.database)) is not None:
        # the secret comes before the database: one that is there without its secret is refused as a damaged copy
        load_secrets(settings.secret, database_path=path)
    applied = await installation.migrate()
    if options.json:
        print_json({"applied": applied})
    else:
        print_lines([f"applied {name}" for name in applied] or ["nothing to apply: the database is up to date"])
