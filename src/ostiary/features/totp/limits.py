"""How many codes may be tried per account, across sources and sign-in attempts.

Recovery codes are not counted here. Their 120 random bits cannot be guessed, and an attacker with the password could
use up the count and lock the owner out. The limit per source bounds the work.
"""

from typing import Final

from ostiary.core.plug import Ambient, Attempt, Outcome, count
from ostiary.features.totp.settings import TotpSettings
from ostiary.store.hot import Rate

TOTP: Final = "totp"
ENROLMENT: Final = "totp/enrolment"


async def take(ambient: Ambient, what: str, account_id: str) -> None:
    """Counts one attempt. Raises RateLimited if there were too many."""
    await count(ambient, f"{what}:{account_id}", _rate(ambient, what))


class AccountLimit:
    """A `Check` on codes from the app. A successful sign-in returns its own attempt and does not reset the count."""

    async def before(self, ambient: Ambient, attempt: Attempt) -> None:
        if attempt.factor == TOTP and attempt.account_id is not None:
            await take(ambient, TOTP, attempt.account_id)

    async def after(self, ambient: Ambient, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.factor == TOTP and attempt.account_id is not None and outcome is Outcome.SUCCEEDED:
            await ambient.hot.give_back(f"{TOTP}:{attempt.account_id}", _rate(ambient, TOTP), now=ambient.now())


def _rate(ambient: Ambient, what: str) -> Rate:
    settings = ambient.settings.of(TotpSettings)
    return settings.limit if what == TOTP else settings.enrolment_limit
