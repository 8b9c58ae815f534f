"""One transaction from BEGIN to COMMIT. It runs again if the server asks for that."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from ostiary.errors import OutcomeUnknown, StoreUnavailable
from ostiary.store.bodies import Scope, Watched, call
from ostiary.store.database import Body
from ostiary.store.pauses import jitter
from ostiary.store.postgres.connections import Connections, give_up
from ostiary.store.postgres.failures import (
    LockTimeout,
    TryAgain,
    driver_errors,
    explained,
    is_rejected_commit,
    is_usable,
)
from ostiary.store.postgres.transaction import PostgresTransaction

BEGIN: Final = "begin isolation level read committed read write"

MOST_ATTEMPTS: Final = 8
ATTEMPT_PAUSE: Final = 0.02
"""The longest pause in seconds before the second attempt. It grows with each further attempt."""

LOCK_SECONDS: Final = 2
"""How long a patient transaction waits for one lock. As long as it waits, later statements queue behind it, for example
every read of a table that a migration wants to change. It then rolls back, lets them pass and begins again."""

LOCK_PAUSE: Final = 2.0
"""The longest pause in seconds before it begins again."""

T = TypeVar("T")


class Job(Generic[T]):
    """Runs in its own task, which is never cancelled. A caller that is cancelled only abandons it."""

    def __init__(
        self, connections: Connections, body: Body[T], *, patience: float | None, announced: Callable[[], None]
    ) -> None:
        self._connections = connections
        self._body = body
        self._patience = patience
        self._announced = announced
        self._abandoned = False
        self._begun = False

    def abandon(self) -> None:
        """Ends the job if its body has not begun. A body that has begun is finished and committed."""
        self._abandoned = True

    async def run(self) -> T:
        deadline = time.monotonic() + (self._patience or 0)
        attempts = 1
        while True:
            try:
                return await self._attempt()
            except LockTimeout:
                if time.monotonic() >= deadline:
                    raise
                pause = LOCK_PAUSE
            except TryAgain:
                if attempts == MOST_ATTEMPTS:
                    raise
                pause = ATTEMPT_PAUSE * attempts
                attempts += 1
            await asyncio.sleep(jitter(pause))

    async def _attempt(self) -> T:
        async with self._connections.lend() as connection:
            scope = Scope()
            transaction = PostgresTransaction(connection, scope, patience=self._patience)
            await _begin(connection, is_patient=self._patience is not None)
            try:
                result = await self._run_body(transaction, scope)
            except BaseException:
                await _roll_back(connection)
                raise
            await _commit(connection)
        if transaction.announced:
            self._announced()
        return result

    async def _run_body(self, transaction: PostgresTransaction, scope: Scope) -> T:
        if self._abandoned and not self._begun:
            raise asyncio.CancelledError
        self._begun = True
        try:
            return await Watched(call(self._body, transaction, scope), scope)
        except BaseException:
            if isinstance(scope.failure, TryAgain):
                raise scope.failure from None  # even if the body has caught it
            raise


async def _begin(connection: Any, *, is_patient: bool) -> None:
    try:
        await connection.execute(f"{BEGIN}; set local lock_timeout = '{LOCK_SECONDS}s'" if is_patient else BEGIN)
    except BaseException as error:
        give_up(connection)
        if isinstance(error, driver_errors()):
            raise StoreUnavailable(explained(error).detail) from None
        raise


async def _roll_back(connection: Any) -> None:
    try:
        await connection.execute("rollback")
    except BaseException as error:
        give_up(connection)  # the server then rolls back
        if not isinstance(error, driver_errors()):
            raise


async def _commit(connection: Any) -> None:
    if not is_usable(connection):
        raise StoreUnavailable("PostgreSQL: the connection was lost before the commit")
    try:
        done = await connection.execute("commit")
    except BaseException as error:
        if is_rejected_commit(error):
            raise explained(error, connection) from None
        give_up(connection)
        if not isinstance(error, driver_errors()):
            raise
        raise OutcomeUnknown(explained(error).detail) from None
    if done != "COMMIT":
        raise StoreUnavailable("PostgreSQL: the server rolled back instead of committing")
