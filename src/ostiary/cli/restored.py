"""`ostiary restored`."""

from ostiary.api import RevokedKeys
from ostiary.cli.keys import revocation
from ostiary.cli.operator import operator
from ostiary.cli.options import Options
from ostiary.cli.output import print_json, print_lines
from ostiary.core.restoring import Restored
from ostiary.errors import ConfigurationError


async def restored(*, options: Options = Options()) -> None:
    """Invalidate the sessions, tokens and keys that a restored backup brings back.

    Run it once after a restore, before any server starts. A backup does not contain the sign-outs, token uses and
    revocations that happened after it was made. This command therefore signs everybody out, refuses every access token
    and replaces every signing key. Passwords, roles, second factors and all other data stay as they are in the backup.
    See docs/operations.md.
    """
    installation = options.present()
    if waiting := await installation.pending():
        raise ConfigurationError(f"the database is not migrated ({len(waiting)} pending): run ostiary migrate first")
    async with installation.opened():
        done = await installation.finish_restore(operator())
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
        "everybody is signed out, and all access tokens are refused",
        *revocation(RevokedKeys(done.keys.kids, done.keys.successor)),
        f"{done.registrations} pending registrations deleted",
        "Changes made after the backup are lost and cannot be restored. See docs/operations.md.",
    ]
