"""How many codes may be tried for one account, whoever tries them, from wherever, in however many attempts."""

from typing import Final

from ostiary.core.clock import MICROSECONDS
from ostiary.core.plug import Ambient, Attempt, Outcome
from ostiary.errors import RateLimited
from ostiary.store.hot import Rate

TOTP: Final = "totp"
RECOVERY_CODE: Final = "recovery_code"
ENROLMENT: Final = "totp/enrolment"

# Each its own, so that guesses at one do not close the other to the owner (REQUIREMENTS E5).
_RATES: Final = {
    # a code is right for three steps: after the burst, 7300 guesses in a year find one with a probability of 2 %
    TOTP: Rate(20, 24 * 3600),
    # cannot be guessed: this bounds the work
    RECOVERY_CODE: Rate(30, 3600),
    ENROLMENT: Rate(10, 3600),
}


async def take(ambient: Ambient, what: str, account_id: str) -> None:
    """Counts one try. Raises RateLimited when there were too many."""
    waits = await ambient.hot.take(f"{what}:{account_id}", _RATES[what], now=ambient.now())
    if waits:
        raise RateLimited(f"{what} of {account_id}", retry_after=-(-waits // MICROSECONDS))


class AccountLimit:
    """A `Check` on this slice's factors. A sign-in that succeeds gives its own try back, and resets nothing."""

    async def before(self, ambient: Ambient, attempt: Attempt) -> None:
        if attempt.factor in _RATES and attempt.account_id is not None:
            await take(ambient, attempt.factor, attempt.account_id)

    async def after(self, ambient: Ambient, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.factor in _RATES and attempt.account_id is not None and outcome is Outcome.SUCCEEDED:
            key = f"{attempt.factor}:{attempt.account_id}"
            await ambient.hot.give_back(key, _RATES[attempt.factor], now=ambient.now())
