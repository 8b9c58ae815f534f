"""The password factor: always the first proof."""

from functools import partial

from ostiary.core.accounts import queries as accounts
from ostiary.core.accounts.model import Account
from ostiary.core.accounts.passwords import candidate, normalize
from ostiary.core.plug import Ambient, Proof
from ostiary.core.sign_in.model import PASSWORD, PASSWORD_AMR


async def prove(ambient: Ambient, account: Account | None, password: str) -> Proof | None:
    """Proof that the caller knows the account's password, or None. Costs one hash whether there is an account, a
    password, both or none (CVE-2024-39329). Raises Busy."""
    known = account.password_hash if account and account.disabled_at is None else None
    matches = await ambient.hashing.verify(known, candidate(password))
    if account is None or known is None or not matches:
        return None
    # hashing took a while: a password that was changed, or an account disabled, meanwhile must not get a session
    consume = partial(accounts.keep_password_hash, account_id=account.id, seen=known)
    if ambient.hashing.is_outdated(known):
        renewed = await ambient.hashing.hash(normalize(password))
        consume = partial(accounts.replace_password_hash, account_id=account.id, seen=known, new=renewed)
    return Proof(factor=PASSWORD, amr=(PASSWORD_AMR,), consume=consume)
