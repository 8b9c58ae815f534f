"""Changing the password. It requires the current password and ends all other sessions."""

from typing import Final

from ostiary.core.accounts import queries as accounts
from ostiary.core.accounts.model import Account
from ostiary.core.accounts.registration import hash_new_password
from ostiary.core.accounts.service import raise_epoch
from ostiary.core.audit.model import Event, Outcome
from ostiary.core.audit.service import record
from ostiary.core.mail import render_mail
from ostiary.core.plug import Actor, Ambient, Mail, count
from ostiary.core.revocations import Revoking, transact
from ostiary.core.sessions.model import EndReason
from ostiary.core.sessions.service import end_all_of, hold
from ostiary.core.sign_in.password import prove
from ostiary.errors import InvalidCredentials, TokenRevoked
from ostiary.store.database import Transaction
from ostiary.store.hot import Rate
from ostiary.verifier import Principal

_PACKAGE: Final = "ostiary.core.sign_in"

_TRIES: Final = Rate(10, 3600)
"""Attempts per account. A stolen access token must not be usable to guess the password. Successful attempts count too:
each costs two hashes and a mail, and a user who knows the password could otherwise repeat them without limit."""


async def change_password(ambient: Ambient, actor: Actor, me: Principal, *, current: str, new: str) -> None:
    """Replaces the caller's password, effective at once. The other sessions end and all access tokens are refused. This
    session continues with its next refresh.

    Raises:
        InvalidCredentials: the current password is wrong.
        PasswordRejected: the new password violates the policy.
        TokenRevoked: the session has ended or its account no longer exists.
        RateLimited, Busy
    """
    await count(ambient, f"password/change:{me.account_id}", _TRIES)
    account = await accounts.by_id(ambient.database, me.account_id)
    proof = await prove(ambient, account, current)
    if account is None or account.password_hash is None or proof is None:
        await _record_failure(ambient, actor, me)
        raise InvalidCredentials("the current password is wrong")
    replacing = await hash_new_password(ambient, account.email, new)
    seen = account.password_hash

    async def body(tx: Transaction) -> Revoking[None]:
        # Hashing took a while, so check that the verified password is still the stored one. The account row is locked
        # before session rows, as everywhere.
        if (
            not await accounts.replace_password_hash(tx, me.account_id, seen=seen, new=replacing)
            or await hold(ambient, tx, me.session_id) is None
        ):
            raise TokenRevoked("the session has ended, or the password was changed in the meantime")
        raised = await raise_epoch(ambient, tx, me.account_id)
        await end_all_of(ambient, tx, me.account_id, EndReason.PASSWORD_CHANGED, but=me.session_id)
        event = Event("accounts.password_changed", account_id=me.account_id, session_id=me.session_id)
        await record(ambient, tx, actor, event)
        return Revoking(None, (raised,))

    await transact(ambient, body)
    ambient.mail.post(_changed(ambient, account, actor))


async def _record_failure(ambient: Ambient, actor: Actor, me: Principal) -> None:
    event = Event(
        "accounts.password_change_failed", Outcome.REFUSED, account_id=me.account_id, session_id=me.session_id
    )
    await ambient.database.transaction(lambda tx: record(ambient, tx, actor, event))


def _changed(ambient: Ambient, account: Account, actor: Actor) -> Mail:
    return render_mail(
        _PACKAGE,
        "password_changed.txt",
        to=account.email,
        host=ambient.settings.issuer_host,
        source=actor.source.address,
    )
