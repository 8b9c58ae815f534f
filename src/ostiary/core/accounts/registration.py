"""Registration. It reveals nothing: the work and the response are the same for a new, taken or pending address."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ostiary.core.accounts import queries
from ostiary.core.accounts.authority import USERS_WRITE, check
from ostiary.core.accounts.email import Email, read_email
from ostiary.core.accounts.giving import refuse_to_give_what_is_not_held, refuse_unknown_roles
from ostiary.core.accounts.model import USER, Account
from ostiary.core.accounts.passwords import candidate, check_password, normalize, words_about
from ostiary.core.accounts.settings import RegistrationSettings
from ostiary.core.audit.model import Event
from ostiary.core.audit.service import record
from ostiary.core.clock import MICROSECONDS
from ostiary.core.entropy import identifier
from ostiary.core.mail import render_mail
from ostiary.core.opaque import Purpose, fingerprint, new_token
from ostiary.core.plug import Actor, Ambient, Mail, count
from ostiary.errors import Conflict, InvalidBody, InvalidCredentials, InvalidToken
from ostiary.store.database import Transaction
from ostiary.store.hot import Rate

_PACKAGE: Final = "ostiary.core.accounts"
# These limits protect inboxes, and reaching them is not reported to the caller. A single source cannot use up the limit
# of a mailbox. Otherwise it could block the owner's own registration mail.
_MAILS_PER_MAILBOX: Final = Rate(6, 3600)
_MAILS_PER_SOURCE: Final = Rate(2, 3600)
_FIRST_EPOCH: Final = 1

REGISTERED: Final = "accounts.registered"
CREATED: Final = "accounts.created"

_FEW_HOURS: Final = 2 * 3600  # seconds; shorter times are given in minutes


@dataclass(frozen=True, slots=True)
class _New:
    """The initial data of a new account. ``profile`` is in its stored form."""

    address: Email
    password_hash: str
    profile: str | None


async def register(
    ambient: Ambient, actor: Actor, *, email: str, password: str, profile: msgspec.Struct | None = None
) -> None:
    """Registers an account. If addresses must be verified, the account is created when the link in the mail is used.

    Raises:
        InvalidEmail, PasswordRejected, Busy
        InvalidBody: the profile does not fit.
        RateLimited: too many registrations from this source in a day.
    """
    await count(ambient, f"register/day:{actor.source.bucket}", ambient.settings.of(RegistrationSettings).daily_limit)
    address = read_email(ambient.settings, email)
    stored = None if ambient.profile is None else ambient.profile.new(profile)
    password_hash = await hash_new_password(ambient, address.address, password)
    store = _register_pending if ambient.settings.of(RegistrationSettings).require_verified_email else _register_at_once
    mail = await store(ambient, actor, _New(address, password_hash, stored))
    if mail is not None:
        await _post(ambient, actor, address, mail)


async def verify_email(ambient: Ambient, actor: Actor, *, token: str, password: str | None = None) -> None:
    """Uses the link of a registration mail and creates the account.

    Args:
        password: the one chosen at registration. Your confirmation page must ask for it. An attacker may have
            registered the address of another person, and the link alone would create an account with the attacker's
            password.

    Raises:
        InvalidToken: the token is unknown, used or expired, or the address got an account in the meantime.
        InvalidCredentials: the password is not the one chosen at registration. The link stays valid.
        RateLimited, Busy: password attempts are counted like registrations.
    """
    token_hash = fingerprint(token, Purpose.VERIFY)
    if token_hash is None:
        raise InvalidToken("the text does not have the form of a verification token")
    if password is not None:
        await count(ambient, f"verify:{actor.source.bucket}", ambient.settings.of(RegistrationSettings).limit)
        chosen = await queries.registered_password(ambient.database, token_hash, now=ambient.now())
        if not await ambient.hashing.verify(chosen, candidate(password)):
            raise InvalidCredentials if chosen else InvalidToken("the verification token is unknown, used or expired")

    async def body(tx: Transaction) -> bool:
        now = ambient.now()
        pending = await queries.take_registration(tx, token_hash, now=now)
        if pending is None:
            return False
        await queries.delete_registrations_of(tx, pending.email_key)
        address = Email(pending.email, pending.email_key)
        new = _New(address, pending.password_hash, pending.profile)
        return await _insert(ambient, tx, actor, new, (USER,), event=REGISTERED, verified_at=now) is not None

    if not await ambient.database.transaction(body):
        raise InvalidToken("the verification token is unknown, used or expired, or the address is already taken")


async def create(
    ambient: Ambient, actor: Actor, *, email: str, password: str, roles: Collection[str], profile: Any = None
) -> Account:
    """Creates an account at once. Its address counts as verified.

    Args:
        roles: roles in addition to ``user``.
        profile: an instance of the application's profile class. By default the class's own defaults are used.

    Raises:
        InvalidEmail, PasswordRejected, Busy
        InvalidBody: a role does not exist, or the profile is not valid.
        Forbidden: the actor lacks ``users:write``, or grants a role that it does not hold itself.
        Conflict: the address is taken.
    """
    address = read_email(ambient.settings, email)
    stored = None
    if ambient.profile is not None:
        stored = ambient.profile.new(None) if profile is None else ambient.profile.replaced(None, profile)
    elif profile is not None:
        raise InvalidBody("this installation has no profile class")
    await check(ambient, ambient.database, actor, USERS_WRITE)  # before the cost of hashing
    new = _New(address, await hash_new_password(ambient, address.address, password), stored)

    async def body(tx: Transaction) -> Account:
        await check(ambient, tx, actor, USERS_WRITE)
        await refuse_unknown_roles(tx, roles)
        await refuse_to_give_what_is_not_held(tx, actor, {*roles} - {USER})
        made = await _insert(ambient, tx, actor, new, roles, event=CREATED, verified_at=ambient.now())
        if made is None:
            raise Conflict(f"{address.address} has an account already")
        return made

    return await ambient.database.transaction(body)


async def hash_new_password(ambient: Ambient, address: str, password: str) -> str:
    """Checks a new password of the account with this address and hashes it. Raises PasswordRejected, Busy."""
    normal = normalize(password)
    known = words_about(address, ambient.settings.issuer_host)
    await ambient.hashing.run(lambda: check_password(normal, known=known))
    return await ambient.hashing.hash(normal)


async def _register_pending(ambient: Ambient, actor: Actor, new: "_New") -> Mail | None:
    address = new.address
    token = new_token(Purpose.VERIFY, ambient.random)
    now = ambient.now()
    expires_at = now + ambient.settings.of(RegistrationSettings).verification_lifetime * MICROSECONDS

    async def body(tx: Transaction) -> Account | None:
        # written for a taken address too, although its link is not sent, so that both cases cost the same
        await queries.insert_registration(
            tx, token.fingerprint, address, new.password_hash, profile=new.profile, now=now, expires_at=expires_at
        )
        await record(ambient, tx, actor, Event("accounts.registration_started"))
        return await queries.by_email(tx, address.key)

    taken_by = await ambient.database.transaction(body)
    if taken_by is not None:
        return _already_registered(ambient, taken_by)
    return render_mail(
        _PACKAGE,
        "verify.txt",
        to=address.address,
        link=f"{ambient.settings.issuer}{ambient.settings.prefix}/email/verify#{token.text}",
        host=ambient.settings.issuer_host,
        span=_span(ambient.settings.of(RegistrationSettings).verification_lifetime),
    )


def _span(seconds: int) -> str:
    return f"{seconds // 3600} hours" if seconds >= _FEW_HOURS else f"{seconds // 60} minutes"


async def _register_at_once(ambient: Ambient, actor: Actor, new: "_New") -> Mail | None:
    async def body(tx: Transaction) -> Account | None:
        made = await _insert(ambient, tx, actor, new, (USER,), event=REGISTERED, verified_at=None)
        return None if made else await queries.by_email(tx, new.address.key)

    taken_by = await ambient.database.transaction(body)
    return None if taken_by is None else _already_registered(ambient, taken_by)


async def _insert(
    ambient: Ambient,
    tx: Transaction,
    actor: Actor,
    new: "_New",
    roles: Collection[str],
    *,
    event: str,
    verified_at: int | None,
) -> Account | None:
    account = Account(
        id=identifier("acc", ambient.random),
        email=new.address.address,
        password_hash=new.password_hash,
        epoch=_FIRST_EPOCH,
        disabled_at=None,
        verified_at=verified_at,
        created_at=ambient.now(),
    )
    if not await queries.insert(tx, account, new.address.key):
        return None
    if new.profile is not None:
        await queries.keep_profile(tx, account.id, new.profile)
    for role in sorted({USER, *roles}):
        await queries.add_role(tx, account.id, role)
    happened = Event(event, account_id=account.id, detail={"roles": sorted({USER, *roles})})
    await record(ambient, tx, actor, happened)
    return account


def _already_registered(ambient: Ambient, account: Account) -> Mail:
    # to the stored address, never to the one in the request (GHSA-7rqj-j65f-68wh)
    return render_mail(_PACKAGE, "already_registered.txt", to=account.email, host=ambient.settings.issuer_host)


async def _post(ambient: Ambient, actor: Actor, address: Email, mail: Mail) -> None:
    mailbox, now = f"mail:{address.mailbox}", ambient.now()
    if await ambient.hot.take(f"{mailbox}:{actor.source.bucket}", _MAILS_PER_SOURCE, now=now):
        return
    if await ambient.hot.take(mailbox, _MAILS_PER_MAILBOX, now=now) == 0:
        ambient.mail.post(mail)
