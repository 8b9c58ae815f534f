"""The dispatcher: runs a step, and by the table in ``model`` decides what comes next."""

from dataclasses import dataclass, replace
from typing import Any, Final

from ostiary.core.accounts import queries as accounts
from ostiary.core.accounts.service import find
from ostiary.core.audit.model import Event
from ostiary.core.audit.model import Outcome as Recorded
from ostiary.core.audit.service import record
from ostiary.core.clock import MICROSECONDS
from ostiary.core.opaque import Purpose, fingerprint, new_token
from ostiary.core.plug import Actor, Ambient, Attempt, Factor, FactorBody, Outcome, Proof
from ostiary.core.sessions.service import start
from ostiary.core.sign_in import queries
from ostiary.core.sign_in.model import (
    PASSWORD,
    Ask,
    Continues,
    Pending,
    Refused,
    SignedIn,
    Step,
    Wanted,
    decide,
)
from ostiary.core.sign_in.password import prove
from ostiary.core.tokens.model import Granted
from ostiary.core.tokens.service import grant, refuse_when_unable_to_sign
from ostiary.errors import CrossSiteRequest, InvalidCode, InvalidCredentials
from ostiary.store.database import Transaction

_UNKNOWN: Final = "unknown"


async def begin(ambient: Ambient, actor: Actor, *, email: str, password: str, wanted: Wanted) -> SignedIn | Continues:
    """The first step. An unknown address, a wrong password, a disabled account: one answer, one cost.

    Raises:
        InvalidCredentials, RateLimited, Busy, Unavailable
    """
    refuse_when_unable_to_sign(ambient)
    account = await find(ambient, email)
    attempt = Attempt(PASSWORD, actor.source, actor.source, account.id if account else None)
    await _check_before(ambient, attempt)
    proof = await prove(ambient, account, password)
    pending = Pending(
        account_id=account.id if account else _UNKNOWN,
        epoch=account.epoch if account else 0,
        amr=(),
        transport=wanted.transport,
        device_name=wanted.device_name,
        opened_from=actor.source,
    )

    async def body(tx: Transaction) -> Step:
        return await _advance(ambient, tx, actor, pending, proof, factor=PASSWORD)

    step = await ambient.database.transaction(body)
    await _check_after(ambient, attempt, step)
    if isinstance(step, Refused):
        raise InvalidCredentials
    return step


async def proceed(
    ambient: Ambient, actor: Actor, factor: Factor, body: FactorBody, *, may_set_cookies: bool
) -> SignedIn | Continues:
    """A later step of the attempt that ``body`` names.

    Raises:
        InvalidCode: wrong, or the attempt is unknown, expired or used up. CrossSiteRequest: it would set cookies.
        RateLimited, Unavailable
    """
    refuse_when_unable_to_sign(ambient)
    token_hash = fingerprint(body.attempt, Purpose.ATTEMPT)
    found = token_hash and await queries.find(ambient.database, token_hash, now=ambient.now())
    if not token_hash or not found:
        raise InvalidCode("no such sign-in attempt")
    if found.transport == "cookie" and not may_set_cookies:
        # somebody else's half-finished sign-in must not be finished into this browser (login CSRF)
        raise CrossSiteRequest
    attempt = Attempt(factor.name, actor.source, found.opened_from, found.account_id)
    await _check_before(ambient, attempt)
    proof = await factor.finish(ambient, found.account_id, body)
    running = _Running(token_hash, factor.name)

    async def transaction(tx: Transaction) -> Step:
        return await _resume(ambient, tx, actor, running, proof)

    step = await ambient.database.transaction(transaction)
    if proof is not None and proof.mail is not None and not isinstance(step, Refused):
        ambient.mail.post(proof.mail)
    await _check_after(ambient, attempt, step)
    if isinstance(step, Refused):
        raise InvalidCode
    return step


@dataclass(frozen=True, slots=True)
class _Running:
    token_hash: bytes
    factor: str


async def _resume(ambient: Ambient, tx: Transaction, actor: Actor, running: _Running, proof: Proof | None) -> Step:
    # the attempt's row is the lock and counts the try, also the one that fails
    pending = await queries.hold(tx, running.token_hash, now=ambient.now())
    if pending is None:
        return Refused()
    step = await _advance(ambient, tx, actor, pending, proof, factor=running.factor)
    if not isinstance(step, Refused):
        await queries.delete(tx, running.token_hash)
    return step


async def _advance(
    ambient: Ambient, tx: Transaction, actor: Actor, pending: Pending, proof: Proof | None, *, factor: str
) -> Step:
    if (
        proof is None
        or not await _consume(ambient, tx, actor, pending.account_id, proof)
        # no change of roles or state since the attempt began, and none until the session is there: whoever signs
        # everybody out waits for this row, and then finds the session
        or not await accounts.hold(tx, pending.account_id, epoch=pending.epoch)
    ):
        return await _refuse(ambient, tx, actor, pending, factor)
    proved = (*pending.amr, *proof.amr)
    offered = [plugged.name for plugged in ambient.factors if await plugged.offer(tx, pending.account_id)]
    match decide(second_proved=bool(pending.amr), offered=offered):
        case Ask(factors):
            return await _ask(ambient, tx, actor, pending, proved, factors)
        case _:
            return await _issue(ambient, tx, actor, pending, proved)


async def _consume(ambient: Ambient, tx: Transaction, actor: Actor, account_id: str, proof: Proof) -> bool:
    """Whether the proof holds here. What it spent is spent, and recorded, also when the step is refused after all."""
    holds = await proof.consume(tx)
    if holds and proof.event is not None:
        await record(ambient, tx, actor, Event(proof.event, account_id=account_id))
    return holds


async def _ask(
    ambient: Ambient, tx: Transaction, actor: Actor, pending: Pending, proved: tuple[str, ...], factors: tuple[str, ...]
) -> Continues:
    attempt = new_token(Purpose.ATTEMPT, ambient.random)
    lifetime = ambient.settings.attempt_lifetime
    so_far = replace(pending, amr=proved)
    await queries.insert(tx, attempt.fingerprint, so_far, expires_at=ambient.now() + lifetime * MICROSECONDS)
    event = Event("sign_in.continued", account_id=pending.account_id, detail={"amr": list(proved)})
    await record(ambient, tx, actor, event)
    return Continues(attempt=attempt.text, factors=factors, expires_in=lifetime)


async def _issue(ambient: Ambient, tx: Transaction, actor: Actor, pending: Pending, proved: tuple[str, ...]) -> Step:
    session = await start(
        ambient, tx, actor, account_id=pending.account_id, amr=proved, device_name=pending.device_name
    )
    granted = await grant(ambient, tx, session)
    if not isinstance(granted, Granted):
        return Refused()
    event = Event(
        "sign_in.succeeded", account_id=session.account_id, session_id=session.id, detail={"amr": list(session.amr)}
    )
    await record(ambient, tx, actor, event)
    return SignedIn(granted, pending.transport)


async def _refuse(ambient: Ambient, tx: Transaction, actor: Actor, pending: Pending, factor: str) -> Refused:
    account_id = None if pending.account_id == _UNKNOWN else pending.account_id
    event = Event("sign_in.failed", Recorded.REFUSED, account_id=account_id, detail={"factor": factor})
    await record(ambient, tx, actor, event)
    return Refused()


async def _check_before(ambient: Ambient, attempt: Attempt) -> None:
    for check in ambient.checks:
        await check.before(ambient, attempt)


async def _check_after(ambient: Ambient, attempt: Attempt, step: Step) -> None:
    outcome: dict[type[Any], Outcome] = {
        SignedIn: Outcome.SUCCEEDED,
        Continues: Outcome.CONTINUES,
        Refused: Outcome.FAILED,
    }
    for check in ambient.checks:
        await check.after(ambient, attempt, outcome[type(step)])
