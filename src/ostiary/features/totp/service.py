"""Enrols, confirms and removes TOTP.

Each operation checks the caller's session inside the transaction that makes the change. A token that was revoked a
moment ago on another node must not change how its owner signs in.
"""

from functools import partial
from typing import Final

from ostiary.core.accounts import queries as accounts
from ostiary.core.accounts.model import Account
from ostiary.core.audit.model import Event
from ostiary.core.audit.service import record
from ostiary.core.clock import MICROSECONDS
from ostiary.core.plug import Actor, Ambient
from ostiary.core.sessions.service import hold
from ostiary.errors import Conflict, InvalidCode, NotFound, OutcomeUnknown, TokenRevoked
from ostiary.features.totp import limits, mails, queries
from ostiary.features.totp.factors import seal, unseal
from ostiary.features.totp.model import (
    RECOVERY_CODES,
    SECRET_SIZE,
    Enrolled,
    Started,
    matching_step,
    new_recovery_code,
    present,
    recovery_code_hash,
)
from ostiary.store.database import Transaction
from ostiary.verifier import Principal, Requirement

_RECENT: Final = 300  # seconds
# SP 800-63B-4 §4.1.2.1
_TO_ENROL: Final = Requirement(max_age=_RECENT)
# with a second factor: somebody who has stolen the password must not be able to remove the other factor
_TO_REMOVE: Final = Requirement(max_age=_RECENT, aal=2)
_TIME_TO_CONFIRM: Final = 15 * 60 * MICROSECONDS


async def enrol(ambient: Ambient, actor: Actor, me: Principal) -> Started:
    """Creates a secret, which must be confirmed within 15 minutes. It replaces an unconfirmed one.

    Raises:
        InsufficientUserAuthentication: the sign-in is more than five minutes old.
        Conflict: the account already has TOTP.
        RateLimited, Busy
    """
    _TO_ENROL.check(me, now=ambient.seconds())
    await limits.take(ambient, limits.ENROLMENT, me.account_id)
    secret = ambient.random.token(SECRET_SIZE)
    sealed = seal(ambient, me.account_id, secret)

    async def body(tx: Transaction) -> Account | None:
        account = await _hold(ambient, tx, me)
        if not await queries.start(tx, account.id, sealed, expires_at=ambient.now() + _TIME_TO_CONFIRM):
            return None
        await record(ambient, tx, actor, _event("totp.enrolled", me))
        return account

    account = await ambient.database.transaction(body)
    if account is None:
        raise Conflict("the account already has TOTP")
    # drawing the picture takes too long for the event loop
    return await ambient.hashing.run(partial(present, secret, email=account.email, host=ambient.settings.issuer_host))


async def confirm(ambient: Ambient, actor: Actor, me: Principal, *, code: str) -> tuple[str, ...]:
    """Makes the new secret a factor. ``code`` proves that the owner's app has it, and cannot be used again.

    Returns the recovery codes. They cannot be shown again.

    Raises:
        Conflict: no enrolment was started, or another request confirmed it first.
        InvalidCode: the code is wrong.
        RateLimited
        OutcomeUnknown: TOTP may be active with recovery codes that nobody has seen. The owner gets the mail in this
            case too.
    """
    seen = await queries.unconfirmed(ambient.database, me.account_id, now=ambient.now())
    if seen is None:
        # before counting: otherwise a stolen session could use up the attempts that its owner needs to sign in
        raise Conflict("no enrolment was started")
    await limits.take(ambient, limits.TOTP, me.account_id)
    step = matching_step(unseal(ambient, seen), code, at=ambient.seconds())
    if step is None:
        raise InvalidCode("the code does not belong to the secret that is to be confirmed")
    codes = tuple(new_recovery_code(ambient.random) for _ in range(RECOVERY_CODES))
    held: list[Account] = []

    async def body(tx: Transaction) -> bool:
        held[:] = [await _hold(ambient, tx, me)]
        if not await _activate(ambient, tx, seen, step=step, codes=codes):
            return False
        await record(ambient, tx, actor, _event("totp.confirmed", me))
        return True

    try:
        if not await ambient.database.transaction(body):
            raise Conflict("the secret was confirmed or replaced in the meantime")
    except OutcomeUnknown:
        _tell(ambient, held)
        raise
    _tell(ambient, held)
    return codes


def _tell(ambient: Ambient, held: list[Account]) -> None:
    """Sends the mail. Sends nothing if the transaction failed before the account was read."""
    for account in held:
        ambient.mail.post(mails.confirmed(ambient, account))


async def remove(ambient: Ambient, actor: Actor, me: Principal) -> None:
    """Removes the factor and its recovery codes.

    Raises:
        InsufficientUserAuthentication: the sign-in had no second factor, or is more than five minutes old.
        NotFound: the account has no TOTP.
    """
    _TO_REMOVE.check(me, now=ambient.seconds())

    async def body(tx: Transaction) -> Account | None:
        account = await _hold(ambient, tx, me)
        if not await queries.remove(tx, account.id):
            return None
        await record(ambient, tx, actor, _event("totp.removed", me))
        return account

    account = await ambient.database.transaction(body)
    if account is None:
        raise NotFound("the account has no TOTP")
    ambient.mail.post(mails.removed(ambient, account))


async def _hold(ambient: Ambient, tx: Transaction, me: Principal) -> Account:
    """Locks the account and the caller's session, in this order, and returns the account. Raises TokenRevoked if either
    is no longer usable."""
    await accounts.lock(tx, me.account_id)
    session = await hold(ambient, tx, me.session_id)
    account = await accounts.by_id(tx, me.account_id)
    if session is None or account is None or account.disabled_at is not None:
        raise TokenRevoked("the session has ended, or its account is gone or disabled")
    return account


async def _activate(ambient: Ambient, tx: Transaction, seen: Enrolled, *, step: int, codes: tuple[str, ...]) -> bool:
    if not await queries.confirm(tx, seen, step=step, now=ambient.now()):
        return False
    for code in codes:
        code_hash = recovery_code_hash(seen.account_id, code)
        assert code_hash is not None  # noqa: S101 — our own code is well-formed
        await queries.insert_recovery_code(tx, seen.account_id, code_hash)
    return True


def _event(name: str, me: Principal) -> Event:
    return Event(name, account_id=me.account_id, session_id=me.session_id)
