"""The two factors of this slice."""

from functools import partial
from typing import Final

from ostiary.core.accounts import queries as accounts
from ostiary.core.plug import Ambient, FactorBody, Proof
from ostiary.core.vault import Vault
from ostiary.features.totp import mails, queries
from ostiary.features.totp.limits import TOTP
from ostiary.features.totp.model import Enrolled, matching_step, recovery_code_hash
from ostiary.store.database import Reader, Transaction

_ONE_TIME_PASSWORD: Final = "otp"  # noqa: S105 — RFC 8176 §2
_PURPOSE: Final = "totp"
_REWRAPPED_AT_ONCE: Final = 200  # rows of one transaction: on SQLite it blocks all other writes


class CodeBody(FactorBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    code: str


class Totp:
    """A code from the authenticator app. Each code is accepted once."""

    name = TOTP
    body = CodeBody

    async def offer(self, reader: Reader, account_id: str) -> bool:
        return await queries.confirmed(reader, account_id) is not None

    async def finish(self, ambient: Ambient, account_id: str, body: CodeBody) -> Proof | None:
        seen = await queries.confirmed(ambient.database, account_id)
        if seen is None:
            return None  # faster, but this reveals nothing: `next` has already named the factors of the account
        step = matching_step(unseal(ambient, seen), body.code, at=ambient.seconds())
        if step is None or step <= seen.last_step:
            return None
        # two requests with the same code may both get here: the condition inside the transaction accepts only one
        consume = partial(queries.spend_step, seen=seen, step=step)
        return Proof(factor=self.name, amr=(_ONE_TIME_PASSWORD,), consume=consume)


class RecoveryCode:
    """One of the codes that were shown when TOTP was confirmed. It counts as a second factor, so that people who have
    lost their device can remove TOTP and set it up again."""

    name = "recovery_code"
    body = CodeBody

    async def offer(self, reader: Reader, account_id: str) -> bool:
        return await queries.has_recovery_codes(reader, account_id)

    async def finish(self, ambient: Ambient, account_id: str, body: CodeBody) -> Proof | None:
        code_hash = recovery_code_hash(account_id, body.code)
        if code_hash is None or not await queries.has_recovery_code(ambient.database, account_id, code_hash):
            return None
        account = await accounts.by_id(ambient.database, account_id)
        if account is None:
            return None
        return Proof(
            factor=self.name,
            amr=(_ONE_TIME_PASSWORD,),
            consume=partial(queries.spend_recovery_code, account_id=account_id, code_hash=code_hash),
            event="totp.recovery_code_used",
            mail=mails.recovery_code_used(ambient, account),
        )


def seal(ambient: Ambient, account_id: str, secret: bytes) -> bytes:
    return ambient.vault.seal(secret, purpose=_PURPOSE, row=account_id)


async def rewrap(vault: Vault, tx: Transaction) -> int:
    """Seals some of the secrets that were sealed with an older master secret with the newest one. See `Feature`."""
    seen = await queries.sealed_otherwise(tx, vault.newest_prefix, limit=_REWRAPPED_AT_ONCE)
    for enrolled in seen:
        sealed = vault.reseal(enrolled.sealed_secret, purpose=_PURPOSE, row=enrolled.account_id)
        if sealed is not None:
            await queries.reseal(tx, enrolled, sealed)
    return len(seen)


def unseal(ambient: Ambient, enrolled: Enrolled) -> bytes:
    """Raises ConfigurationError if it was sealed with a master secret that is not configured, or moved here from
    another row."""
    return ambient.vault.open(enrolled.sealed_secret, purpose=_PURPOSE, row=enrolled.account_id)
