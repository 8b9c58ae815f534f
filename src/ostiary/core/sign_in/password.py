"""The password factor. It is always the first proof."""

from functools import partial

from ostiary.core.accounts import queries as accounts
from ostiary.core.accounts.model import Account
from ostiary.core.accounts.passwords import candidate, normalize
from ostiary.core.plug import Ambient, Proof
from ostiary.core.sign_in.model import PASSWORD, PASSWORD_AMR


async def prove(ambient: Ambient, account: Account | None, password: str) -> Proof | None:
    """Proof that the caller knows the password of the account, or None. It always costs one hash, whether or not there
    is an account and whether or not it has a password (CVE-2024-39329). Raises Busy."""
    known = account.password_hash if account and account.disabled_at is None else None
    matches = await ambient.hashing.verify(known, candidate(password))
    if account is None or known is None or not matches:
        return None
    # Hashing took a while. If the password was changed or the account disabled in the meantime, no session may start.
    consume = partial(accounts.keep_password_hash, account_id=account.id, seen=known)
    if ambient.hashing.is_outdated(known):
        renewed = await ambient.hashing.hash(normalize(password))
        consume = partial(accounts.replace_password_hash, account_id=account.id, seen=known, new=renewed)
    return Proof(factor=PASSWORD, amr=(PASSWORD_AMR,), consume=consume)
