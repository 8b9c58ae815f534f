"""The dispatcher: runs a step and decides with the table in ``model`` what comes next."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from ostiary.core.accounts import queries as accounts
from ostiary.core.accounts.service import find
from ostiary.core.audit.model import Event
from ostiary.core.audit.model import Outcome as Recorded
from ostiary.core.audit.service import record
from ostiary.core.clock import MICROSECONDS
from ostiary.core.devices.mails import new_device
from ostiary.core.devices.names import device_name
from ostiary.core.devices.service import recognise
from ostiary.core.opaque import Purpose, fingerprint, new_token
from ostiary.core.plug import Actor, Ambient, Attempt, Factor, FactorBody, Mail, Outcome, Proof
from ostiary.core.revocations import Revoking, transact
from ostiary.core.sessions import model as sessions
from ostiary.core.sessions.service import make_room, start
from ostiary.core.sign_in import limits, queries
from ostiary.core.sign_in.model import (
    PASSWORD,
    Ask,
    Continues,
    Full,
    Pending,
    Refused,
    SignedIn,
    SignInOptions,
    Step,
    decide,
)
from ostiary.core.sign_in.password import prove
from ostiary.core.sign_in.settings import SignInSettings
from ostiary.core.tokens.issuing import audience, first_grant, refuse_when_unable_to_sign
from ostiary.core.tokens.model import Granted
from ostiary.errors import (
    CrossSiteRequest,
    InvalidCode,
    InvalidCredentials,
    OutcomeUnknown,
    RequestError,
    TooManySessions,
)
from ostiary.store.database import Transaction

_UNKNOWN: Final = "unknown"


async def begin(
    ambient: Ambient, actor: Actor, *, email: str, password: str, wanted: SignInOptions
) -> SignedIn | Continues:
    """The first step. An unknown address, a wrong password and a disabled account have the same response and cost.

    Raises:
        InvalidCredentials, Busy, Unavailable
        InvalidTarget: the credentials are right, but the resource is not allowed.
        TooManySessions: the session limit is reached and the policy is to refuse.
        RateLimited: too many attempts from this source, or, after a correct password, too many new sessions.
    """
    refuse_when_unable_to_sign(ambient)
    # counted before anything is computed: parsing an address costs time, and so does looking for its account
    attempt = Attempt(PASSWORD, actor.source, actor.source, account_id=None)
    await _check_before(ambient, attempt)
    account = await find(ambient, email)
    proof = await prove(ambient, account, password)
    if account is not None and proof is not None:
        await limits.take_session(ambient, account.id)
    pending = Pending(
        account_id=account.id if account else _UNKNOWN,
        epoch=account.epoch if account else 0,
        amr=(),
        wanted=wanted,
        opened_from=actor.source,
    )
    taker = _Taker(actor, PASSWORD, await device_name(wanted.device_name, actor.user_agent))
    step = await _settled(ambient, pending.account_id, proof, partial(_advance, ambient, taker, pending, proof))
    await _check_after(ambient, replace(attempt, account_id=account.id if account else None), step)
    return _reached(ambient, step, InvalidCredentials)


async def proceed(
    ambient: Ambient, actor: Actor, factor: Factor, body: FactorBody, *, may_set_cookies: bool
) -> SignedIn | Continues:
    """A later step of the attempt that ``body`` identifies.

    Raises:
        InvalidCode: the code is wrong, or the attempt is unknown, expired or used up.
        CrossSiteRequest: the response would set cookies, and the request came from another site.
        TooManySessions: the session limit is reached and the policy is to refuse.
        RateLimited, Unavailable
    """
    refuse_when_unable_to_sign(ambient)
    token_hash = fingerprint(body.attempt, Purpose.ATTEMPT)
    found = token_hash and await queries.find(ambient.database, token_hash, now=ambient.now())
    if not token_hash or not found:
        raise InvalidCode("no such sign-in attempt")
    if found.wanted.transport == "cookie" and not may_set_cookies:
        # an attacker must not complete their own half-finished sign-in in this browser (login CSRF)
        raise CrossSiteRequest
    attempt = Attempt(factor.name, actor.source, found.opened_from, found.account_id)
    await _check_before(ambient, attempt)
    proof = await factor.finish(ambient, found.account_id, body)
    if proof is not None:
        await limits.take_session(ambient, found.account_id)  # its code is not spent yet, and works again later
    taker = _Taker(actor, factor.name, await device_name(found.wanted.device_name, actor.user_agent))
    step = await _settled(ambient, found.account_id, proof, partial(_resume, ambient, taker, token_hash, proof))
    if proof is not None and proof.mail is not None and not isinstance(step, Refused):
        ambient.mail.post(proof.mail)
    await _check_after(ambient, attempt, step)
    return _reached(ambient, step, InvalidCode)


async def _settled(
    ambient: Ambient, account_id: str, proof: Proof | None, body: Callable[[Transaction], Awaitable[Revoking[Step]]]
) -> Step:
    """Runs the step. If it begins no session, it gives back what `limits.take_session` counted. Otherwise an attacker
    who has only the password could use up the sessions of the owner, and so could an outage."""
    begins_one = proof is not None
    try:
        step = await transact(ambient, body)
        begins_one = not isinstance(step, Continues | Refused)
    except OutcomeUnknown:
        raise
    except Exception:
        begins_one = False
        raise
    finally:
        if proof is not None and not begins_one:
            await limits.give_session_back(ambient, account_id)
    return step


def _reached(ambient: Ambient, step: Step, refusal: type[RequestError]) -> SignedIn | Continues:
    """The result for the caller, after the commit."""
    match step:
        case Refused():
            raise refusal
        case Full():
            raise TooManySessions
        case SignedIn(mail=Mail() as mail):
            ambient.mail.post(mail)
    return step


@dataclass(frozen=True, slots=True)
class _Taker:
    """The actor of a step and the factor. ``device_name`` is the name for a new device."""

    actor: Actor
    factor: str
    device_name: str


async def _resume(
    ambient: Ambient, taker: _Taker, token_hash: bytes, proof: Proof | None, tx: Transaction
) -> Revoking[Step]:
    # the row of the attempt is the lock, and it counts every try, including failed ones
    pending = await queries.hold(tx, token_hash, now=ambient.now())
    if pending is None:
        return Revoking(Refused())
    revoking = await _advance(ambient, taker, pending, proof, tx)
    if not isinstance(revoking.result, Refused):
        await queries.delete(tx, token_hash)
    return revoking


async def _advance(
    ambient: Ambient, taker: _Taker, pending: Pending, proof: Proof | None, tx: Transaction
) -> Revoking[Step]:
    actor = taker.actor
    if (
        proof is None
        # Roles and state have not changed since the attempt began, and cannot change until the session exists. Signing
        # everybody out waits for this row and then finds the session. Factors, devices and sessions are locked later.
        or not await accounts.hold(tx, pending.account_id, epoch=pending.epoch)
        or not await _consume(ambient, tx, actor, pending.account_id, proof)
    ):
        return Revoking(await _refuse(ambient, tx, actor, pending, taker.factor))
    if not pending.amr:
        # after the credentials, because this refusal reveals which services exist
        wanted = replace(pending.wanted, resource=await audience(ambient, tx, pending.wanted.resource))
        pending = replace(pending, wanted=wanted)
    proved = (*pending.amr, *proof.amr)
    offered = [plugged.name for plugged in ambient.factors if await plugged.offer(tx, pending.account_id)]
    match decide(second_proved=bool(pending.amr), offered=offered):
        case Ask(factors):
            return Revoking(await _ask(ambient, tx, actor, pending, proved, factors))
        case _:
            return await _issue(ambient, taker, pending, proved, tx)


async def _issue(
    ambient: Ambient, taker: _Taker, pending: Pending, proved: tuple[str, ...], tx: Transaction
) -> Revoking[Step]:
    actor, account_id, wanted = taker.actor, pending.account_id, pending.wanted
    ended = await make_room(ambient, tx, actor, account_id)
    if ended is None:
        await record(ambient, tx, actor, Event("sign_in.refused", Recorded.REFUSED, account_id=account_id))
        return Revoking(Full())
    device = await recognise(
        ambient, tx, actor, account_id=account_id, shown=wanted.device_hash, name=taker.device_name
    )
    # a client that sent its device token will send it again, and a browser always sends the cookie
    bound = device.token is None or wanted.transport == "cookie"
    of_session = sessions.SessionOptions(wanted.device_name, device.device_id, bound, wanted.resource)
    session = await start(ambient, tx, actor, account_id=account_id, amr=proved, wanted=of_session)
    granted = await first_grant(ambient, tx, session)
    if not isinstance(granted, Granted):
        return Revoking(Refused(), ended)
    detail = {"amr": list(session.amr)}
    event = Event("sign_in.succeeded", account_id=account_id, session_id=session.id, detail=detail)
    await record(ambient, tx, actor, event)
    mail = await new_device(ambient, tx, actor, account_id, device)
    return Revoking(SignedIn(granted, wanted.transport, device.token, mail), ended)


async def _consume(ambient: Ambient, tx: Transaction, actor: Actor, account_id: str, proof: Proof) -> bool:
    """Whether the proof is still valid. What it spent stays spent and recorded, even if the step is then refused."""
    holds = await proof.consume(tx)
    if holds and proof.event is not None:
        await record(ambient, tx, actor, Event(proof.event, account_id=account_id))
    return holds


async def _ask(
    ambient: Ambient, tx: Transaction, actor: Actor, pending: Pending, proved: tuple[str, ...], factors: tuple[str, ...]
) -> Continues:
    attempt = new_token(Purpose.ATTEMPT, ambient.random)
    lifetime = ambient.settings.of(SignInSettings).attempt_lifetime
    so_far = replace(pending, amr=proved)
    await queries.insert(tx, attempt.fingerprint, so_far, expires_at=ambient.now() + lifetime * MICROSECONDS)
    event = Event("sign_in.continued", account_id=pending.account_id, detail={"amr": list(proved)})
    await record(ambient, tx, actor, event)
    return Continues(attempt=attempt.text, factors=factors, expires_in=lifetime)


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
        Full: Outcome.FAILED,
    }
    for check in ambient.checks:
        await check.after(ambient, attempt, outcome[type(step)])
