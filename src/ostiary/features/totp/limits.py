"""How many codes may be tried for one account, whoever tries them, from wherever, in however many attempts.

Recovery codes are not counted here: 120 random bits cannot be guessed, and whoever has stolen the password could use
up such a count, and with TOTP's shut the owner out altogether. The count per source bounds the work.
"""

from typing import Final

from ostiary.core.plug import Ambient, Attempt, Outcome, count
from ostiary.features.totp.settings import TotpSettings
from ostiary.store.hot import Rate

TOTP: Final = "totp"
ENROLMENT: Final = "totp/enrolment"


async def take(ambient: Ambient, what: str, account_id: str) -> None:
    """Counts one try. Raises RateLimited when there were too many."""
    await count(ambient, f"{what}:{account_id}", _rate(ambient, what))


class AccountLimit:
    """A `Check` on codes from the app. A sign-in that succeeds gives its own try back, and resets nothing."""

    async def before(self, ambient: Ambient, attempt: Attempt) -> None:
        if attempt.factor == TOTP and attempt.account_id is not None:
            await take(ambient, TOTP, attempt.account_id)

    async def after(self, ambient: Ambient, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.factor == TOTP and attempt.account_id is not None and outcome is Outcome.SUCCEEDED:
            await ambient.hot.give_back(f"{TOTP}:{attempt.account_id}", _rate(ambient, TOTP), now=ambient.now())


def _rate(ambient: Ambient, what: str) -> Rate:
    settings = ambient.settings.of(TotpSettings)
    return settings.limit if what == TOTP else settings.enrolment_limit
