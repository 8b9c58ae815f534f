"""The issuer of a database. One database has one issuer, so that a refresh token of one is never good at another."""

from typing import Final

from ostiary.core.accounts import queries
from ostiary.core.accounts.authority import USERS_WRITE, act
from ostiary.core.accounts.service import raise_everything
from ostiary.core.audit.model import Event
from ostiary.core.plug import Actor, Ambient
from ostiary.core.revocations import Revoking, transact
from ostiary.errors import ConfigurationError
from ostiary.store.database import Database, Transaction

CHANGED: Final = "installation.issuer_changed"


async def recorded(database: Database) -> str | None:
    """The issuer that the database belongs to. None if no server has opened it yet."""
    return await queries.issuer(database)


async def refuse_another(database: Database, issuer: str) -> bool:
    """Whether ``issuer`` is the recorded one. False if none is recorded yet.

    Raises:
        ConfigurationError: the database belongs to another issuer.
    """
    found = await recorded(database)
    if found is not None:
        _compare(found, issuer)
    return found is not None


async def claim(database: Database, issuer: str) -> None:
    """Records the issuer of a database that has none yet. Raises what `refuse_another` raises."""
    if not await refuse_another(database, issuer):
        _compare(await database.transaction(lambda tx: queries.claim_issuer(tx, issuer)), issuer)


def _compare(found: str, issuer: str) -> None:
    if found != issuer:
        raise ConfigurationError(
            f"the database belongs to the issuer {found}, but this server is configured as {issuer}: set the issuer to"
            f" {found} (in development it follows from the port). To move the database to {issuer}, which ends all"
            f" sessions, stop all servers, set the issuer to {issuer} and run ostiary migrate --new-issuer"
        )


async def move(ambient: Ambient, actor: Actor) -> None:
    """Moves the database to the issuer of the settings, and ends all sessions and access tokens. A server that still
    runs with the former issuer issues nothing from then on.

    Raises:
        Forbidden: the actor lacks ``users:write``.
    """
    issuer = ambient.settings.issuer

    async def body(tx: Transaction) -> Revoking[None]:
        await act(ambient, tx, actor, USERS_WRITE, Event(CHANGED, detail={"issuer": issuer}))
        await queries.replace_issuer(tx, issuer)
        return Revoking(None, (await raise_everything(ambient, tx),))

    await transact(ambient, body)
