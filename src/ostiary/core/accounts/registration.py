"""Registration: it says nothing. Whether the address is new, taken or waiting, the work and the answer are the same."""

from typing import Final

from ostiary.core.accounts import queries
from ostiary.core.accounts.email import Email, parse_email
from ostiary.core.accounts.model import USER, Account
from ostiary.core.accounts.passwords import candidate, check_password, normalize, words_about
from ostiary.core.audit.model import Event
from ostiary.core.audit.service import record
from ostiary.core.clock import MICROSECONDS
from ostiary.core.entropy import identifier
from ostiary.core.mail import render_mail
from ostiary.core.opaque import Purpose, fingerprint, new_token
from ostiary.core.plug import Actor, Ambient, Mail, count
from ostiary.errors import InvalidCredentials, InvalidToken
from ostiary.store.database import Transaction
from ostiary.store.hot import Rate

_PACKAGE: Final = "ostiary.core.accounts"
# Nobody's inbox is flooded, and nobody is told. One source alone cannot use up a mailbox's mails, or it
# could keep the owner's own registration mail away.
_MAILS_PER_MAILBOX: Final = Rate(6, 3600)
_MAILS_PER_SOURCE: Final = Rate(2, 3600)
_FIRST_EPOCH: Final = 1
_FEW_HOURS: Final = 2 * 3600  # seconds; below, a mail speaks of minutes


async def register(ambient: Ambient, actor: Actor, *, email: str, password: str) -> None:
    """Registers somebody. Where addresses must be verified, only the link in the mail makes the account.

    Raises:
        InvalidEmail, PasswordRejected, Busy
    """
    address = parse_email(email)
    password_hash = await hash_new_password(ambient, address, password)
    store = _register_pending if ambient.settings.require_verified_email else _register_at_once
    mail = await store(ambient, actor, address, password_hash)
    if mail is not None:
        await _post(ambient, actor, address, mail)


async def verify_email(ambient: Ambient, actor: Actor, *, token: str, password: str | None = None) -> None:
    """Uses the link of a registration mail: the account exists from here on.

    Args:
        password: the one chosen at registration. Whoever asks a person to confirm must ask for it: somebody else may
            have registered the person's address, and the link alone would make an account with that stranger's
            password.

    Raises:
        InvalidToken: unknown, used, expired, or the address has got an account meanwhile.
        InvalidCredentials: the password is not the one that was chosen; the link stays good.
        RateLimited, Busy: passwords are counted like registrations.
    """
    token_hash = fingerprint(token, Purpose.VERIFY)
    if token_hash is None:
        raise InvalidToken("not a verification token")
    if password is not None:
        await count(ambient, f"verify:{actor.source.bucket}", ambient.settings.limit_register)
        chosen = await queries.registered_password(ambient.database, token_hash, now=ambient.now())
        if not await ambient.hashing.verify(chosen, candidate(password)):
            raise InvalidCredentials if chosen else InvalidToken("the verification token is used or expired")

    async def body(tx: Transaction) -> bool:
        now = ambient.now()
        pending = await queries.take_registration(tx, token_hash, now=now)
        if pending is None:
            return False
        await queries.delete_registrations_of(tx, pending.email_key)
        address = Email(pending.email, pending.email_key)
        return await _insert(ambient, tx, actor, address, pending.password_hash, (USER,), verified_at=now) is not None

    if not await ambient.database.transaction(body):
        raise InvalidToken("the verification token is used, expired or too late")


async def create(
    ambient: Ambient, actor: Actor, *, email: str, password: str, roles: tuple[str, ...]
) -> Account | None:
    """Makes an account at once, its address taken as verified: for an operator. None when the address is taken.

    Raises:
        InvalidEmail, PasswordRejected, Busy
    """
    address = parse_email(email)
    password_hash = await hash_new_password(ambient, address, password)

    async def body(tx: Transaction) -> Account | None:
        return await _insert(ambient, tx, actor, address, password_hash, roles, verified_at=ambient.now())

    return await ambient.database.transaction(body)


async def hash_new_password(ambient: Ambient, address: Email, password: str) -> str:
    """Checks a new password against the policy and hashes it. Raises PasswordRejected, Busy."""
    normal = normalize(password)
    known = words_about(address.address, ambient.settings.issuer_host)
    await ambient.hashing.run(lambda: check_password(normal, known=known))
    return await ambient.hashing.hash(normal)


async def _register_pending(ambient: Ambient, actor: Actor, address: Email, password_hash: str) -> Mail | None:
    token = new_token(Purpose.VERIFY, ambient.random)
    now = ambient.now()
    expires_at = now + ambient.settings.verification_lifetime * MICROSECONDS

    async def body(tx: Transaction) -> Account | None:
        # written for a taken address too, though its link will not be sent: the same work either way
        await queries.insert_registration(tx, token.fingerprint, address, password_hash, now=now, expires_at=expires_at)
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
        span=_span(ambient.settings.verification_lifetime),
    )


def _span(seconds: int) -> str:
    return f"{seconds // 3600} hours" if seconds >= _FEW_HOURS else f"{seconds // 60} minutes"


async def _register_at_once(ambient: Ambient, actor: Actor, address: Email, password_hash: str) -> Mail | None:
    async def body(tx: Transaction) -> Account | None:
        made = await _insert(ambient, tx, actor, address, password_hash, (USER,), verified_at=None)
        return None if made else await queries.by_email(tx, address.key)

    taken_by = await ambient.database.transaction(body)
    return None if taken_by is None else _already_registered(ambient, taken_by)


async def _insert(
    ambient: Ambient,
    tx: Transaction,
    actor: Actor,
    address: Email,
    password_hash: str,
    roles: tuple[str, ...],
    *,
    verified_at: int | None,
) -> Account | None:
    account = Account(
        id=identifier("acc", ambient.random),
        email=address.address,
        password_hash=password_hash,
        epoch=_FIRST_EPOCH,
        disabled_at=None,
        verified_at=verified_at,
        created_at=ambient.now(),
    )
    if not await queries.insert(tx, account, address.key):
        return None
    for role in sorted({USER, *roles}):
        await queries.add_role(tx, account.id, role)
    event = Event("accounts.created", account_id=account.id, detail={"roles": sorted({USER, *roles})})
    await record(ambient, tx, actor, event)
    return account


def _already_registered(ambient: Ambient, account: Account) -> Mail:
    # to the stored address, never to what was typed (GHSA-7rqj-j65f-68wh)
    return render_mail(_PACKAGE, "already_registered.txt", to=account.email, host=ambient.settings.issuer_host)


async def _post(ambient: Ambient, actor: Actor, address: Email, mail: Mail) -> None:
    mailbox, now = f"mail:{address.mailbox}", ambient.now()
    if await ambient.hot.take(f"{mailbox}:{actor.source.bucket}", _MAILS_PER_SOURCE, now=now):
        return
    if await ambient.hot.take(mailbox, _MAILS_PER_MAILBOX, now=now) == 0:
        ambient.mail.post(mail)
