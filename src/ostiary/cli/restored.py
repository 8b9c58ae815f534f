"""`ostiary restored`."""

from ostiary.cli.keys import revocation
from ostiary.cli.options import Options
from ostiary.cli.output import print_json, print_lines
from ostiary.cli.users import operator
from ostiary.core.restoring import Restored, finish_restore
from ostiary.errors import ConfigurationError


async def restored(*, options: Options = Options()) -> None:
    """End what a restored backup would bring back. Run it once after a restore, before anything serves.

    A backup knows nothing of what was signed out, used or revoked after it. So everybody is signed out, every access
    token is refused, and every signing key is replaced. Passwords, roles, factors and whatever else was changed since
    are as they were: see docs/operations.md.
    """
    installation = options.present()
    if waiting := await installation.pending():
        raise ConfigurationError(f"the database is not migrated ({len(waiting)} pending): run ostiary migrate first")
    async with installation.opened() as ambient:
        done = await finish_restore(ambient, operator())
    if options.json:
        print_json(
            {
                "generation": done.generation,
                "revoked": done.keys.kids,
                "successor": done.keys.successor,
                "forgotten_registrations": done.registrations,
            }
        )
    else:
        print_lines(_lines(done))


def _lines(done: Restored) -> list[str]:
    return [
        "everybody is signed out, and no access token is valid any more",
        *revocation(done.keys),
        f"{done.registrations} registrations forgotten that waited for their link",
        "Not undone: what was changed after the backup and is now as it was before. See docs/operations.md.",
    ]
